"""``minilm-pair`` and ``minilm-pair-mlp``: both texts of a pair in MiniLM's space, compared.

The features are those with which Conneau et al., "Supervised learning of universal sentence
representations from natural language inference data", EMNLP 2017, section 3.1, compare two
sentences of embeddings ``u`` and ``v``: their product and the absolute value of their difference,
element by element. Here ``u`` and ``v`` are frozen and have length 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench_nlp.encoders.minilm import MiniLM
from metabench_nlp.pairs import halves


class MiniLMPair(Encoder):
    """Product and distance of two sentence embeddings.

    The embedding is ``[sqrt(384) u*v, |u - v|]``: with this factor, whose sum over dimensions is
    the cosine times ``sqrt(384)``, both halves have a length of about 1.

    Args:
        spec: What the inputs are.
        path: A folder with MiniLM's files, as for the encoder ``minilm``.
    """

    width = 2 * MiniLM.width

    def __init__(self, spec: InputSpec, path: str = "") -> None:
        super().__init__()
        self.sentence = MiniLM(spec, path)

    def prepare(self, inputs: Inputs, meta_train: Tensor) -> Inputs:
        """Tokenise both texts of every pair: ``ids``, ``length``, ``ids2``, ``length2``."""
        first, second = (self.sentence.prepare(half, meta_train) for half in halves(inputs))
        return {**first, **{f"{name}2": tensor for name, tensor in second.items()}}

    def forward(self, inputs: Inputs) -> Tensor:
        """Compare the embeddings of ``ids`` ``[n, T]`` and ``ids2`` ``[n, U]``."""
        first, second = (self._embed(half) for half in halves(inputs))
        product = math.sqrt(MiniLM.width) * first * second
        return torch.cat([product, (first - second).abs()], dim=-1)

    def _embed(self, half: Inputs) -> Tensor:
        """Embed every distinct text once, since questions and sentences return in many pairs."""
        known = torch.cat([half["length"].unsqueeze(-1).to(half["ids"].dtype), half["ids"]], dim=-1)
        distinct, where = torch.unique(known, dim=0, return_inverse=True)
        embedded: Tensor = self.sentence({"ids": distinct[:, 1:], "length": distinct[:, 0]})
        return embedded[where]

    def weights_digest(self) -> str:
        """SHA-256 of MiniLM's weights."""
        return self.sentence.weights_digest()


class MiniLMPairMLP(Encoder):
    """Two trained layers on the frozen features, so that meta-training has weights to learn.

    Args:
        spec: What the inputs are.
        path: A folder with MiniLM's files, as for the encoder ``minilm``.
        hidden: Units of the hidden layer.
        width: Length of an embedding.
    """

    def __init__(
        self, spec: InputSpec, path: str = "", *, hidden: int = 256, width: int = 64
    ) -> None:
        super().__init__()
        self.width = width
        self._spec = spec
        self._path = path
        self.layers = nn.Sequential(
            nn.Linear(MiniLMPair.width, hidden), nn.ReLU(), nn.Linear(hidden, width)
        )

    def prepare(self, inputs: Inputs, meta_train: Tensor) -> Inputs:
        """Compute the features of `MiniLMPair`, once: ``features``, float32 ``[n, 768]``."""
        frozen = MiniLMPair(self._spec, self._path)
        with torch.inference_mode():
            features = frozen(frozen.prepare(inputs, meta_train))
        return {"features": features.clone()}

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed ``features`` ``[n, 768]``."""
        embedded: Tensor = self.layers(inputs["features"])
        return embedded
