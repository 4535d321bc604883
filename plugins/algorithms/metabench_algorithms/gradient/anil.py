"""ANIL: almost no inner loop."""

from __future__ import annotations

import torch
from torch import Tensor

from metabench.learners.contracts import (
    Algorithm,
    Predictor,
    Query,
    Support,
    TaskSpec,
    one_hot,
    task_loss,
)
from metabench_algorithms.gradient.settings import (
    GradientHyperparameters,
    check_way,
    meta_head,
    rate_of,
    steps_of,
)
from metabench_algorithms.shared.targets import TargetScale


class ANIL(Algorithm[Tensor]):
    """Gradient descent of the head only, from meta-learned weights.

    Raghu, Raghu, Bengio & Vinyals (2020), "Rapid learning or feature reuse? Towards understanding
    the effectiveness of MAML", arXiv:1909.09157, section 4. They keep MAML's hyperparameters. The
    inner gradient of a linear head is written out below, for all episodes at once; the outer one
    goes through it, to the head's start and to the embeddings, unless ``first_order``.
    """

    Hyperparameters = GradientHyperparameters
    label_equivariant = False

    def __init__(self, task: TaskSpec, hyper: GradientHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self.head = meta_head(task, self.hyper)
        self.targets = TargetScale(task, enabled=self.hyper.standardize)

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Adapt a head per episode: ``[B, Q, d] -> [B, Q, way]`` logits or values."""
        check_way(self.head, support.way)
        episodes, size = support.y.shape[:2]
        weight = self.head.weight[: support.way].T.expand(episodes, -1, -1)
        bias = self.head.bias[: support.way].expand(episodes, 1, -1)
        rate = rate_of(self.hyper, self.task) / size
        for _ in range(steps_of(self.hyper, self)):
            error = self._error(support.x @ weight + bias, support)
            steepest, total = support.x.transpose(1, 2) @ error, error.sum(1, keepdim=True)
            if self.hyper.first_order:
                steepest, total = steepest.detach(), total.detach()
            weight, bias = weight - rate * steepest, bias - rate * total

        def predict(query: Tensor) -> Tensor:
            return self.targets.decode(torch.baddbmm(bias, query, weight))

        return predict

    def loss(self, support: Support[Tensor], query: Query[Tensor]) -> Tensor:
        """Mean query loss, in regression in standard units."""
        self.targets.update(support.y, query.y)
        predicted = self.targets.encode(self.adapt(support)(query.x))
        return task_loss(predicted, self.targets.encode(query.y))

    def _error(self, scores: Tensor, support: Support[Tensor]) -> Tensor:
        """Derivative of each example's loss by its ``[B, S, way]`` scores (see ``task_loss``)."""
        if self.task.kind == "regression":
            return 2 * (scores - self.targets.encode(support.y)) / support.way
        return scores.softmax(-1) - one_hot(support.y, support.way, scores.dtype)
