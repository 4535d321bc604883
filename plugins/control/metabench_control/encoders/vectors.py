"""What encoders of vectors have in common."""

from __future__ import annotations

from metabench.errors import InapplicableError
from metabench.learners.contracts import InputSpec


def vector_length(spec: InputSpec) -> int:
    """Return ``d`` of inputs ``x`` ``[n, d]``.

    Raises:
        InapplicableError: If there is no such input.
    """
    shape = spec.shapes.get("x", ())
    if len(shape) != 1:
        found = {name: tuple(shape) for name, shape in spec.shapes.items()}
        raise InapplicableError(f"a vector encoder takes one input x [n, d]; found {found}")
    return shape[0]
