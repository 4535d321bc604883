"""DN4: nearest neighbours among local descriptors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from metabench.learners.contracts import Algorithm, Hyperparameters, Predictor, Support, bounded
from metabench_algorithms.shared.compare import unit

ELEMENTS = 2**23
"""Most cosines that are held at once."""


@dataclass(frozen=True, kw_only=True)
class DN4Hyperparameters(Hyperparameters):
    """Settings of Li et al. (2019), section 4, and of the released code of 2019.

    Attributes:
        neighbours: Nearest descriptors ``k`` of each class that count (3).
        learning_rate: Of Adam: 0.005.
        schedule: Halved (code: times 0.05) every 100,000 of 300,000 episodes; here by fifths.
    """

    neighbours: int = bounded(3, least=1)
    learning_rate: float = 5e-3
    schedule: Literal["constant", "cosine", "halving"] = "halving"


class DN4(Algorithm[Tensor]):
    """Image-to-class similarity of local descriptors.

    Li, Wang, Xu, Huo, Gao & Luo (2019), "Revisiting local descriptor based image-to-class measure
    for few-shot learning", arXiv:1903.12290: each position of a query's map is compared
    by cosine with all positions of all examples of a class; the ``k`` largest cosines, summed over
    the positions, are the logit. Where a class has fewer than ``k`` descriptors, the mean of those
    that it has counts ``k`` times. An embedding is a map of one position.
    """

    Hyperparameters = DN4Hyperparameters

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Gather the descriptors: ``[B, Q, C, ...] -> [B, Q, way]`` logits."""
        classes = [
            [x[y == label].flatten(0, 1) for label in range(support.way)]
            for x, y in zip(descriptors(support.x), support.y, strict=True)
        ]

        def predict(query: Tensor) -> Tensor:
            asked = zip(descriptors(query), classes, strict=True)
            return torch.stack([self._episode(x, memory) for x, memory in asked])

        return predict

    def _episode(self, query: Tensor, classes: list[Tensor]) -> Tensor:
        """``[Q, L, C]`` queries and ``[n, C]`` descriptors of each class to ``[Q, way]``."""
        largest = query.shape[1] * max(len(memory) for memory in classes)
        parts = torch.split(query, max(1, ELEMENTS // max(largest, 1)))
        return torch.cat([torch.stack([self._to_class(x, m) for m in classes], -1) for x in parts])

    def _to_class(self, query: Tensor, memory: Tensor) -> Tensor:
        """``[Q]`` similarities; the least possible one to a class without examples."""
        k = self.hyper.neighbours
        if not len(memory):
            return query.new_full((len(query),), -float(k * query.shape[1]))
        nearest = (query @ memory.T).topk(min(k, len(memory))).values
        return nearest.mean(-1).sum(-1).mul(k)


def descriptors(x: Tensor) -> Tensor:
    """``[B, n, C, ...]`` maps to ``[B, n, L, C]`` descriptors of length 1, one per position."""
    return unit(x.flatten(3).mT if x.dim() > 3 else x.unsqueeze(2))  # noqa: PLR2004
