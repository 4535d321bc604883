"""R2-D2: ridge regression as a differentiable base learner."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metabench.learners.contracts import (
    Algorithm,
    Predictor,
    Query,
    Support,
    TaskSpec,
    one_hot,
    task_loss,
)
from metabench_algorithms.closed_form.base_learner import (
    BaseLearnerHyperparameters,
    Penalty,
    length_of,
    predictor,
    with_ones,
)
from metabench_algorithms.shared.linear import centred, solve_ridge
from metabench_algorithms.shared.targets import TargetScale


@dataclass(frozen=True, kw_only=True)
class R2D2Hyperparameters(BaseLearnerHyperparameters):
    """Settings of R2-D2.

    Attributes:
        scale: Start of the learned ``alpha``; the released scripts' (1e-4 on miniImageNet).
    """

    scale: float = 10.0


class R2D2(Algorithm[Tensor]):
    """Ridge regression of one-hot labels, through which the encoder is trained.

    Bertinetto, Henriques, Torr & Vedaldi (2019), "Meta-learning with differentiable closed-form
    solvers", arXiv:1805.08136, section 3: ``W = X' (X X' + lambda S)^-1 Y``, the Woodbury form
    where ``S <= d``; ``X`` has a column of ones, the factor ``S`` is the released code's. Logits
    are ``alpha X W``. ``lambda``, fixed in the released code, and ``alpha`` are meta-learned.
    Departures: embeddings are divided by their root mean squared length in the support set, so one
    ``lambda`` suits every encoder; the offset ``beta``, which the softmax cancels, is left out.
    Regression, which the paper does not do, has a free intercept and no ``alpha``.
    """

    Hyperparameters = R2D2Hyperparameters

    def __init__(self, task: TaskSpec, hyper: R2D2Hyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self.penalty = Penalty(self.hyper.penalty)
        self.targets = TargetScale(task)
        if task.kind != "regression":
            self.scale = nn.Parameter(torch.tensor(self.hyper.scale))

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Solve the normal equations: ``[B, Q, d] -> [B, Q, way]`` logits or values."""
        x, alpha = support.x.double(), self.penalty().double() * support.y.shape[1]
        if self.task.kind == "regression":
            x, mean = centred(x)
            length = length_of(x)
            values, offset = centred(support.y.double())
            weight = solve_ridge(x / length, values, alpha) / length
            return predictor(weight, offset - mean @ weight, support.x)
        length = length_of(x)
        labels = one_hot(support.y, support.way, x.dtype)
        weight = self.scale * solve_ridge(with_ones(x / length), labels, alpha)
        return predictor(weight[:, :-1] / length, weight[:, -1:], support.x)

    def loss(self, support: Support[Tensor], query: Query[Tensor]) -> Tensor:
        """Mean query loss, in regression in standard units."""
        self.targets.update(support.y, query.y)
        predicted = self.targets.encode(self.adapt(support)(query.x))
        return task_loss(predicted, self.targets.encode(query.y))
