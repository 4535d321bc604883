"""Distances between ``[B, Q, d]`` queries and ``[B, S, d]`` support examples, as ``[B, Q, S]``.

All work on float64; none makes an array of size ``B * Q * S * d``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from metabench_algorithms.shared.compare import cosine, negative_squared_distance

SAME = 1e-12  # of the squared lengths: closer than the digits of float32, rounding of equal points


def squared_euclidean(query: Tensor, support: Tensor) -> Tensor:
    """Squared distances; exactly zero for equal points."""
    origin = support.mean(1, keepdim=True)
    query, support = query - origin, support - origin
    lengths = query.square().sum(-1).unsqueeze(2) + support.square().sum(-1).unsqueeze(1)
    squares = -negative_squared_distance(query, support)
    return torch.where(squares > SAME * lengths, squares, 0)


def euclidean(query: Tensor, support: Tensor) -> Tensor:
    """Euclidean distances."""
    return squared_euclidean(query, support).sqrt()


def cosine_distance(query: Tensor, support: Tensor) -> Tensor:
    """One minus the cosine; 1 if either is zero, exactly 0 for parallel ones."""
    distance = 1 - cosine(query, support)
    return torch.where(distance > SAME, distance, 0)


def tanimoto_distance(query: Tensor, support: Tensor) -> Tensor:
    """One minus ``sum min(a, b) / sum max(a, b)`` of non-negative features; 0 if both are zero.

    As ``min(a, b) = (a + b - |a - b|) / 2`` and ``max`` likewise, city-block distances suffice.
    """
    total = query.sum(-1).unsqueeze(2) + support.sum(-1).unsqueeze(1)
    apart = torch.cdist(query, support, p=1)
    both = total + apart
    return torch.where(both > 0, 2 * apart / both, 0)


def tanimoto_kernel(query: Tensor, support: Tensor) -> Tensor:
    """``a.b / (|a|^2 + |b|^2 - a.b)``; 1 if both are zero.

    Positive definite on counts (Ralaivola et al., 2005, "Graph kernels for chemical informatics",
    Neural Networks 18(8)).
    """
    product = query @ support.mT
    rest = query.square().sum(-1).unsqueeze(2) + support.square().sum(-1).unsqueeze(1) - product
    return torch.where(rest > 0, product / rest, 1)


def similarity(distance: Tensor, metric: str) -> Tensor:
    """Non-negative weights of neighbours: ``1 / distance`` if Euclidean, else ``1 - distance``."""
    if metric == "euclidean":
        return 1 / distance.clamp_min(torch.finfo(distance.dtype).eps)
    return (1 - distance).clamp_min(0)


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "euclidean": euclidean,
    "cosine": cosine_distance,
    "tanimoto": tanimoto_distance,
}
