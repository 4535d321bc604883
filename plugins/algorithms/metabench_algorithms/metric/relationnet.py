"""Relation networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from metabench.learners.contracts import (
    Algorithm,
    Hyperparameters,
    Predictor,
    Query,
    Support,
    TaskSpec,
    bounded,
    class_means,
    one_hot,
)
from metabench_algorithms.metric.relation import RelationModule


@dataclass(frozen=True, kw_only=True)
class RelationNetHyperparameters(Hyperparameters):
    """Settings of Sung et al. (2018), section 4, and of the released code; Adam at 0.001.

    Attributes:
        channels: Filters of each block of the relation module (64).
        hidden: Width of its first linear layer (8).
        batch_statistics: Use batch statistics in evaluation as well: transductive.
        schedule: Halved every 100,000 of 1,000,000 (Omniglot); here every fifth of the budget.
        clip_norm: 0.5.
    """

    channels: int = bounded(64, least=1)
    hidden: int = bounded(8, least=1)
    batch_statistics: bool = False
    schedule: Literal["constant", "cosine", "halving"] = "halving"
    clip_norm: float = 0.5


class RelationNet(Algorithm[Tensor]):
    """A learned comparison of classes and queries.

    Sung, Yang, Zhang, Xiang, Torr & Hospedales (2018), "Learning to compare: relation network for
    few-shot learning", arXiv:1711.06025. Equation 1: a relation score in 0 .. 1 for each pair of a
    query's map and the sum of a class's maps. Equation 2: mean squared error to 1 for the right
    class and 0 for the others. Scores returned here are those before the sigmoid, which order alike
    and do not saturate. Embeddings that are no maps are compared by linear layers of the same
    widths.

    Where shots are uneven, a class's sum is its mean times the mean number of shots, so that being
    frequent does not look like being similar. Convolutions pad, as for Omniglot; on miniImageNet
    theirs do not.

    The released code never leaves training mode (its issues 12 and 48): batch norm sees all queries
    of a test episode, and the published 99.6 % (Omniglot, 5-way 1-shot) are transductive. By
    default running statistics are used here. With ``batch_statistics`` the relation module
    normalises by the pairs of the episode; the encoder, which the core applies, does not.
    """

    Hyperparameters = RelationNetHyperparameters

    def __init__(self, task: TaskSpec, hyper: RelationNetHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self.relation = RelationModule(
            task.map_shape or (task.width,),
            channels=self.hyper.channels,
            hidden=self.hyper.hidden,
            batch_statistics=self.hyper.batch_statistics,
        )

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Sum each class: ``[B, Q, ...] -> [B, Q, way]`` relation scores before the sigmoid."""
        means = class_means(Support(support.x.flatten(2), support.y, support.way))
        sums = means * (support.y.shape[1] / support.way)

        def predict(query: Tensor) -> Tensor:
            pairs = zip(sums, query.flatten(2), strict=True)
            return torch.stack([self.relation(one, other) for one, other in pairs])

        return predict

    def loss(self, support: Support[Tensor], query: Query[Tensor]) -> Tensor:
        """Mean squared error of the relation scores."""
        scores = self.adapt(support)(query.x).sigmoid()
        return F.mse_loss(scores, one_hot(query.y, support.way, scores.dtype))
