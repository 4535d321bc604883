"""Prototypes in which pseudo-labelled queries take part."""

from __future__ import annotations

import torch
from torch import Tensor

from metabench.learners.contracts import Support, class_means, one_hot
from metabench_algorithms.shared.compare import cosine


def rectify(support: Support[Tensor], query: Tensor, scale: float) -> Tensor:
    """Return ``[B, way, d]`` prototypes that the pseudo-labelled queries take part in.

    Args:
        support: Normalised embeddings.
        query: ``[B, Q, d]`` normalised embeddings, moved towards the support.
        scale: Of the cosine before the softmax.
    """
    basic = class_means(support)
    everyone = torch.cat([support.x, query], 1)
    similar = cosine(everyone, basic)
    asked = similar[:, support.x.shape[1] :]
    best = (asked == asked.amax(-1, keepdim=True)).to(asked.dtype)
    guessed = best / best.sum(-1, keepdim=True)
    member = torch.cat([one_hot(support.y, support.way, query.dtype), guessed], 1)
    weight = member * (scale * (similar - 1)).exp()
    total = weight.sum(1).unsqueeze(-1)
    mean = weight.mT @ everyone / torch.where(total > 0, total, 1)
    return torch.where(total > 0, mean, basic)
