"""``identity``: the vector itself."""

from __future__ import annotations

from torch import Tensor

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench_control.encoders.vectors import vector_length


class Identity(Encoder):
    """Nothing is learned.

    Args:
        spec: What it is built for.
    """

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.width = vector_length(spec)

    def forward(self, inputs: Inputs) -> Tensor:
        """Return ``x`` ``[n, d]``."""
        return inputs["x"]
