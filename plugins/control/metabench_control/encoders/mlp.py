"""``mlp``: a perceptron, trained from scratch.

Finn et al. (2017), section 5.1, regress sine waves with two hidden layers of 40 units and ReLU. The
last linear layer of theirs belongs to the learner here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.errors import UsageError
from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench_control.encoders.vectors import vector_length


class MLP(Encoder):
    """Linear layers, each followed by ReLU.

    Args:
        spec: What it is built for.
        hidden: Units of each layer; the last one is the length of an embedding.

    Raises:
        UsageError: If there is no layer, or one without units.
    """

    def __init__(self, spec: InputSpec, *, hidden: Sequence[int] = (40, 40)) -> None:
        super().__init__()
        if not hidden or min(hidden) < 1:
            raise UsageError(f"mlp option hidden={list(hidden)} needs one or more positive sizes")
        sizes = (vector_length(spec), *hidden)
        self.layers = nn.ModuleList(
            nn.Linear(before, after) for before, after in zip(sizes, hidden, strict=False)
        )
        self.width = hidden[-1]

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed ``x`` ``[n, d]`` as ``[n, width]``."""
        x = inputs["x"]
        for layer in self.layers:
            x = F.relu(layer(x))
        return x

    def forward_copies(self, weights: Mapping[str, Tensor], inputs: Inputs) -> Tensor:
        """Embed ``x`` ``[T, n, d]`` with ``T`` copies of the weights: ``[T, n, width]``."""
        x = inputs["x"]
        for number in range(len(self.layers)):
            bias = weights[f"layers.{number}.bias"].unsqueeze(-2)
            weight = weights[f"layers.{number}.weight"].transpose(-1, -2)
            x = F.relu(torch.baddbmm(bias, x, weight))
        return x
