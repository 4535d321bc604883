"""Linear heads that are fitted on a support set.

The fitted weights lie in the span of the ``S`` support examples (representer theorem), so solvers
work on ``S`` coordinates where these are fewer than the width ``d``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from metabench.learners.contracts import Predictor
from metabench_algorithms.shared.compare import unit


def prepare(x: Tensor, *, normalize: bool) -> Tensor:
    """Scale embeddings to length 1 if asked to."""
    return unit(x) if normalize else x


def centred(x: Tensor) -> tuple[Tensor, Tensor]:
    """Split ``[B, S, d]`` support into deviations and their ``[B, 1, d]`` mean.

    A free intercept absorbs the mean; without it the problem is better conditioned.
    """
    mean = x.mean(1, keepdim=True)
    return x - mean, mean


def span(x: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates of ``[B, S, d]`` examples in the space that they span.

    Returns:
        ``[B, S, r]`` coordinates and the ``[B, d, r]`` orthonormal basis, ``r = min(S, d)``.
    """
    if x.shape[1] >= x.shape[2]:
        return x, torch.eye(x.shape[2], dtype=x.dtype, device=x.device).expand(len(x), -1, -1)
    basis, triangular = torch.linalg.qr(x.mT)
    return triangular.mT, basis


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


def solve_ridge(x: Tensor, y: Tensor, alpha: float | Tensor) -> Tensor:
    """Minimise ``||x w - y||^2 + alpha ||w||^2``.

    Args:
        x: ``[B, S, d]`` inputs.
        y: ``[B, S, k]`` targets.
        alpha: Positive penalty.

    Returns:
        ``[B, d, k]`` weights, from the smaller of the two equivalent systems.
    """
    size, width = x.shape[1:]
    ridge = alpha * torch.eye(min(size, width), dtype=x.dtype, device=x.device)
    xt = x.transpose(1, 2)
    if size < width:
        dual: Tensor = torch.linalg.solve(x @ xt + ridge, y)
        return xt @ dual
    primal: Tensor = torch.linalg.solve(xt @ x + ridge, xt @ y)
    return primal
