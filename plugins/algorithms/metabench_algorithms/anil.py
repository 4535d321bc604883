"""ANIL: almost no inner loop."""

from __future__ import annotations

import torch
from torch import Tensor

from metabench.learners.contracts import Algorithm, Predictor, Support, TaskSpec, one_hot
from metabench_algorithms._gradient import (
    GradientHyperparameters,
    check_way,
    meta_head,
    steps_of,
)


class ANIL(Algorithm[Tensor]):
    """Gradient descent of the head only, from meta-learned weights.

    Raghu, Raghu, Bengio & Vinyals (2020), "Rapid learning or feature reuse? Towards understanding
    the effectiveness of MAML", arXiv:1909.09157, section 4. They keep MAML's hyperparameters. The
    inner gradient of a linear head is written out below, for all episodes at once; the outer one
    goes through it, to the head's start and to the embeddings, unless ``first_order``.
    """

    Hyperparameters = GradientHyperparameters

    def __init__(self, task: TaskSpec, hyper: GradientHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self.head = meta_head(task, self.hyper)

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Adapt a head per episode: ``[B, Q, d] -> [B, Q, way]`` logits, ``[B, Q]`` values."""
        check_way(self.head, support.way)
        episodes, size = support.y.shape
        weight = self.head.weight[: support.way].T.expand(episodes, -1, -1)
        bias = self.head.bias[: support.way].expand(episodes, 1, -1)
        rate = self.hyper.inner_lr / size
        for _ in range(steps_of(self.hyper, self)):
            error = self._error(support.x @ weight + bias, support)
            steepest, total = support.x.transpose(1, 2) @ error, error.sum(1, keepdim=True)
            if self.hyper.first_order:
                steepest, total = steepest.detach(), total.detach()
            weight, bias = weight - rate * steepest, bias - rate * total

        def predict(query: Tensor) -> Tensor:
            scores = torch.baddbmm(bias, query, weight)
            return scores.squeeze(-1) if self.task.kind == "regression" else scores

        return predict

    def _error(self, scores: Tensor, support: Support[Tensor]) -> Tensor:
        """Derivative of each example's loss by its ``[B, S, way]`` scores (see ``task_loss``)."""
        if self.task.kind == "regression":
            return 2 * (scores - support.y.unsqueeze(-1))
        return scores.softmax(-1) - one_hot(support.y, support.way, scores.dtype)
