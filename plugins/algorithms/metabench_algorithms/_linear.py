"""Linear heads that are fitted on a support set.

With ``S`` support examples the weights lie in the span of the support (representer theorem), so
solvers work on ``[B, S, way]`` coefficients ``a`` with ``W = X^T a``, whatever the width ``d``.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from metabench.learners.contracts import Predictor
from metabench_algorithms._compare import unit


def prepare(x: Tensor, *, normalize: bool) -> Tensor:
    """Scale embeddings to length 1 if asked to."""
    return unit(x) if normalize else x


def centred(x: Tensor) -> tuple[Tensor, Tensor]:
    """Split ``[B, S, d]`` support into deviations and their ``[B, 1, d]`` mean.

    A free intercept absorbs the mean; without it the problem is better conditioned.
    """
    mean = x.mean(1, keepdim=True)
    return x - mean, mean


def linear_predictor(
    weight: Tensor, bias: Tensor, transform: Callable[[Tensor], Tensor]
) -> Predictor[Tensor]:
    """Return ``q -> transform(q) W + b``.

    Args:
        weight: ``[B, d, way]``.
        bias: ``[B, 1, way]``.
        transform: What was done to the support before the fit.
    """

    def predict(query: Tensor) -> Tensor:
        return transform(query) @ weight + bias

    return predict
