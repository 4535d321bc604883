"""Gaussian processes on embeddings that can be differentiated, a batch of episodes at a time.

Rasmussen & Williams (2006), "Gaussian processes for machine learning". The columns of the targets
``[B, S, k]`` are independent processes with one covariance.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Profile = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""Squared distances in length scales to a kernel and its first and second derivative by the
logarithm of the length scale."""

LEAST_SQUARE = 1e-24
"""Keeps the root of a squared distance differentiable."""


def rbf(squares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``exp(-r^2 / 2)`` (equation 4.9)."""
    value = (squares / -2).exp()
    return value, value * squares, value * (squares.square() - 2 * squares)


def matern(squares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``(1 + t + t^2 / 3) exp(-t)`` with ``t = sqrt(5) r``: Matern 5/2 (equation 4.17)."""
    t = (5 * squares.clamp_min(LEAST_SQUARE)).sqrt()
    decay = (-t).exp() / 3
    value = (3 + 3 * t + t**2) * decay
    return value, t**2 * (1 + t) * decay, t**2 * (t**2 - 2 * t - 2) * decay


def with_noise(kernel: Tensor, noise: Tensor | float) -> Tensor:
    """Add the noise variance, a number or ``[B, 1, 1]``, to the diagonal of ``[B, S, S]``."""
    return kernel + noise * torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device)


def log_density(covariance: Tensor, y: Tensor) -> Tensor:
    """``[B]`` log densities of ``[B, S, k]`` targets of mean zero, summed over the columns.

    Of a support set it is the log marginal likelihood (equation 2.30).
    """
    factor = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(factor, y, upper=False)
    size, columns = y.shape[1:]
    determinant = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    constant = determinant + size / 2 * math.log(2 * math.pi)
    density: Tensor = -0.5 * white.square().sum((1, 2)) - columns * constant
    return density


def solve(covariance: Tensor, right: Tensor) -> Tensor:
    """``covariance^-1 right`` by Cholesky; of the targets it gives the mean (equation 2.25)."""
    return torch.cholesky_solve(right, torch.linalg.cholesky(covariance))
