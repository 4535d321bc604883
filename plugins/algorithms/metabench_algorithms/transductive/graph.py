"""Neighbour graphs of queries, and predictors that know their queries already."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from metabench.learners.contracts import Predictor

TIED = 1e-9
"""Relative difference below which two distances are equal but for rounding."""
ELEMENTS = 2**22
"""Most entries of the matrices of the episodes that are worked on together."""


def nearest(distance: Tensor, k: int) -> Tensor:
    """Membership of the ``k`` nearest columns of each row.

    Args:
        distance: ``[B, n, m]`` in float64; infinite where there may be no neighbour.
        k: Neighbours of each row, at most ``m``.

    Returns:
        ``[B, n, m]`` shares that sum to ``k`` in each row: 1 for a neighbour, a fraction for each
        of those that tie for the last places, so that the order of the columns is without effect.
    """
    if k == 0:
        return torch.zeros_like(distance)
    last = distance.topk(k, largest=False).values[..., -1:]
    tied = (distance - last).abs() <= TIED * last
    closer = (distance < last) & ~tied
    places = k - closer.sum(-1, keepdim=True)
    share = places / tied.sum(-1, keepdim=True, dtype=distance.dtype)
    return closer + tied * share


def by_parts(function: Callable[..., Tensor], size: int, *tensors: Tensor) -> Tensor:
    """Apply a function to a few episodes at a time, which bounds the memory.

    Args:
        function: Takes the tensors, of some episodes, and returns one.
        size: Entries that it needs for an episode.
        *tensors: First dimension ``B``.
    """
    count = max(1, ELEMENTS // max(1, size))
    parts = zip(*(torch.split(tensor, count) for tensor in tensors), strict=True)
    return torch.cat([function(*part) for part in parts])


def answers(query: Tensor, scores: Tensor) -> Predictor[Tensor]:
    """Return a predictor that gives the scores found for the queries it was adapted with.

    Args:
        query: ``[B, Q, d]``.
        scores: ``[B, Q, way]``.
    """

    def predict(asked: Tensor) -> Tensor:
        if asked is not query and not torch.equal(asked, query):
            raise ValueError(
                f"asked about other queries {tuple(asked.shape)} than those adapted with "
                f"{tuple(query.shape)}; call adapt_transductive with these"
            )
        return scores

    return predict
