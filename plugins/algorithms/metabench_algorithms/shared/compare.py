"""Comparing queries with support examples or class centres, a batch of episodes at a time.

Shapes: ``B`` episodes, ``S`` support and ``Q`` query examples, ``way`` classes, ``d`` features.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from metabench.learners.contracts import one_hot


def unit(x: Tensor) -> Tensor:
    """Scale each ``[..., d]`` embedding to Euclidean length 1; a zero vector stays zero."""
    return F.normalize(x, dim=-1)


def cosine(query: Tensor, support: Tensor) -> Tensor:
    """``[B, Q, S]`` cosine similarities of ``[B, Q, d]`` and ``[B, S, d]`` embeddings."""
    return unit(query) @ unit(support).transpose(1, 2)


def negative_squared_distance(query: Tensor, centres: Tensor) -> Tensor:
    """``-||q - c||^2`` of ``[B, Q, d]`` queries and ``[B, way, d]`` centres as ``[B, Q, way]``.

    The square is expanded, so nothing of size ``[B, Q, way, d]`` exists. Moving the origin to the
    mean centre first keeps an offset that all embeddings share from cancelling the digits.
    """
    origin = centres.mean(1, keepdim=True)
    query, centres = query - origin, centres - origin
    squares = query.square().sum(-1, keepdim=True) + centres.square().sum(-1).unsqueeze(1)
    return -torch.baddbmm(squares, query, centres.transpose(1, 2), alpha=-2).clamp_min(0)


def class_max(scores: Tensor, labels: Tensor, way: int, floor: float) -> Tensor:
    """Largest of the ``[B, Q, S]`` scores in each class, ``[B, Q, way]``; ``floor`` if it has none.

    Args:
        scores: One score per query and support example.
        labels: ``[B, S]`` classes of the support examples, in any order.
        way: Number of classes.
        floor: A value below every score.
    """
    start = scores.new_full((*scores.shape[:2], way), floor)
    return start.scatter_reduce(2, labels.unsqueeze(1).expand_as(scores), scores, "amax")


def class_logsumexp(scores: Tensor, labels: Tensor, way: int) -> Tensor:
    """Log of the summed exponentials of ``[B, Q, S]`` scores in each class, ``[B, Q, way]``.

    A class without support gets a finite score far below the others.
    """
    top = scores.detach().amax(-1, keepdim=True)
    peak = class_max(scores.detach() - top, labels, way, floor=-1e4)
    own = peak.gather(2, labels.unsqueeze(1).expand_as(scores))
    total = (scores - top - own).exp() @ one_hot(labels, way, scores.dtype)
    return total.clamp_min(torch.finfo(scores.dtype).tiny).log() + peak + top
