"""An encoder and an algorithm put together, and how the pair sees a batch of episodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from metabench.learners.contracts import Algorithm, Encoder, Inputs, Query, Support
from metabench.learners.device import Compute, take
from metabench.tasks.data import IntArray
from metabench.tasks.sampler import EpisodeBatch

EMBED_BATCH = 256
KEPT_DTYPES = (torch.uint8, torch.float16)
"""What embeddings of a frozen encoder are stored as if it gives them so; float32 otherwise."""


class Embedded(Encoder):
    """Stands where a frozen encoder was: its inputs are embeddings already.

    Args:
        width: The length of an embedding.
        origin: Builds the encoder that made them, for inputs that no source holds.
    """

    def __init__(self, width: int, origin: Callable[[], Encoder] | None = None) -> None:
        super().__init__()
        self.width = width
        self._origin = cache(origin) if origin is not None else None

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the stored embeddings as float32."""
        return inputs["embedding"].float()

    def origin(self) -> Encoder:
        """Return the encoder that made the embeddings."""
        if self._origin is None:
            raise RuntimeError("these embeddings have no encoder that could embed anything else")
        return self._origin()


class Blank(Encoder):
    """Stands where a learner uses no encoder: one zero per example, whatever the input."""

    width = 1

    def forward(self, inputs: Inputs) -> Tensor:
        """Return ``[n, 1]`` zeros."""
        some = next(iter(inputs.values()))
        return torch.zeros(len(some), 1, device=some.device)


@dataclass(frozen=True)
class Problem:
    """One source as a learner sees it: prepared inputs on the device.

    Attributes:
        inputs: Prepared inputs of all examples; ``{"embedding": [n, d]}`` for a frozen encoder.
        compute: Device and precision.
        lists: ``[n]`` list that each example is ranked in, if the source has any.
    """

    inputs: Mapping[str, Tensor]
    compute: Compute
    lists: IntArray | None = None

    def index(self, array: Any) -> Tensor:
        """Return an index array as a tensor on the device."""
        return torch.as_tensor(array, device=self.compute.device)


class FewShotModel(nn.Module):
    """Encoder and algorithm.

    Args:
        encoder: The encoder, whose parameters this module owns.
        algorithm: The algorithm.
        adapts_encoder: Whether the algorithm takes raw inputs.
        takes_maps: Whether it takes maps of local features.
    """

    def __init__(
        self,
        encoder: Encoder,
        algorithm: Algorithm[Any],
        *,
        adapts_encoder: bool,
        takes_maps: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.algorithm = algorithm
        self.adapts_encoder = adapts_encoder
        self.takes_maps = takes_maps

    def embed(self, problem: Problem, items: Tensor) -> Tensor:
        """Embed examples with gradients: ``[n]`` indices to ``[n, d]`` float32."""
        with problem.compute.autocast():
            features: Tensor = self.encoder(take(problem.inputs, items))
        return features.float()

    def represent(self, problem: Problem, items: Tensor) -> Tensor:
        """Embed as the algorithm takes it: ``[n, d]`` float32, or ``[n, *map_shape]``."""
        if not self.takes_maps:
            return self.embed(problem, items)
        with problem.compute.autocast():
            return self.encoder.forward_map(take(problem.inputs, items)).float()

    def represent_all(self, problem: Problem, items: Tensor) -> Tensor:
        """Embed as the algorithm takes it, without gradients, in the order given."""
        if not self.takes_maps:
            return self.embed_all(problem, items)
        with torch.inference_mode():
            parts = [self.represent(problem, part) for part in torch.split(items, EMBED_BATCH)]
            return torch.cat(parts)

    def embed_all(self, problem: Problem, items: Tensor) -> Tensor:
        """Embed examples without gradients, a batch at a time, in the order given."""
        if isinstance(self.encoder, Embedded):
            return problem.inputs["embedding"][items].float()
        with torch.inference_mode():
            parts = [self.embed(problem, part) for part in torch.split(items, EMBED_BATCH)]
            return torch.cat(parts)

    def view_new(self, problem: Problem, inputs: Inputs) -> Any:
        """Bring inputs that no source holds into the form that the algorithm takes.

        Args:
            problem: Gives device and precision.
            inputs: In the source's own format, each ``[B, n, ...]``.

        Returns:
            ``[B, n, d]`` embeddings, or maps; for an algorithm that adapts the encoder, prepared
            inputs.
        """
        encoder, autocast = self.encoder, problem.compute.autocast()
        if isinstance(encoder, Embedded):
            encoder, autocast = encoder.origin().to(problem.compute.device), nullcontext()
        episodes = len(next(iter(inputs.values())))
        flat = {name: tensor.flatten(0, 1) for name, tensor in inputs.items()}
        nobody = torch.empty(0, dtype=torch.int64)
        prepared = problem.compute.place(encoder.prepare(flat, nobody))
        if self.adapts_encoder:
            return {n: t.reshape(episodes, -1, *t.shape[1:]) for n, t in prepared.items()}
        with torch.no_grad(), autocast:
            embed = encoder.eval().forward_map if self.takes_maps else encoder.eval()
            features: Tensor = embed(prepared)
        return features.float().reshape(episodes, -1, *features.shape[1:])

    def loss(self, problem: Problem, batch: EpisodeBatch) -> Tensor:
        """Return the algorithm's meta-training loss on a batch of episodes."""
        support, query = problem.index(batch.support), problem.index(batch.query)
        support_y = problem.index(batch.support_targets)
        query_y = problem.index(batch.query_targets)
        if self.adapts_encoder:
            # Copies at once compute in fp32, and inside autocast only their forward pass would.
            at_once = hasattr(self.encoder, "forward_copies")
            with nullcontext() if at_once else problem.compute.autocast():
                return self.algorithm.loss(
                    Support(take(problem.inputs, support), support_y, batch.way),
                    Query(take(problem.inputs, query), query_y),
                )
        both = torch.cat([support, query], dim=1)
        features = self.represent(problem, both.flatten())
        features = features.reshape(*both.shape, *features.shape[1:])
        x, asked = features[:, : support.shape[1]], features[:, support.shape[1] :]
        return self.algorithm.loss(Support(x, support_y, batch.way), Query(asked, query_y))


def embed_source(encoder: Encoder, inputs: Inputs, meta_train: Tensor, compute: Compute) -> Tensor:
    """Prepare and embed every example of a source with a frozen encoder.

    Args:
        encoder: The encoder.
        inputs: The source's inputs.
        meta_train: Indices of the meta-train examples.
        compute: Device and precision.

    Returns:
        ``[n, d]`` embeddings on the host: float32, or as the encoder gives them if that is one of
        `KEPT_DTYPES`.
    """
    prepared = encoder.prepare(inputs, meta_train)
    encoder = encoder.to(compute.device).eval()
    count = len(next(iter(prepared.values())))
    features: Tensor | None = None
    with torch.no_grad(), compute.autocast():
        for part in torch.split(torch.arange(count), EMBED_BATCH):
            embedded: Tensor = encoder(compute.place(take(prepared, part)))
            if features is None:  # one allocation: a list of parts would be held twice
                dtype = embedded.dtype if embedded.dtype in KEPT_DTYPES else torch.float32
                features = torch.empty(count, *embedded.shape[1:], dtype=dtype)
            features[part] = embedded.to(features.dtype).cpu()
    assert features is not None
    return features


def parameter_count(module: nn.Module) -> int:
    """Return the number of weights."""
    return sum(parameter.numel() for parameter in module.parameters())
