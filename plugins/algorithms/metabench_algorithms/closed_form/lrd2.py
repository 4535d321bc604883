"""LR-D2: logistic regression as a differentiable base learner."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metabench.learners.contracts import Algorithm, Predictor, Support, TaskSpec, bounded, one_hot
from metabench_algorithms.closed_form.base_learner import (
    BaseLearnerHyperparameters,
    Penalty,
    length_of,
    predictor,
    with_ones,
)

LEAST_VARIANCE = 1e-8
"""Of a label; that of an example far on its side of the boundary has no inverse."""


@dataclass(frozen=True, kw_only=True)
class LRD2Hyperparameters(BaseLearnerHyperparameters):
    """Settings of LR-D2.

    Attributes:
        steps: Newton steps, always; the released scripts run 1 and 5, for two classes 10.
    """

    steps: int = bounded(5, least=1)


class LRD2(Algorithm[Tensor]):
    """Logistic regression by a few Newton steps, through which the encoder is trained.

    Bertinetto, Henriques, Torr & Vedaldi (2019), "Meta-learning with differentiable closed-form
    solvers", arXiv:1805.08136, section 3: Newton's method as iteratively reweighted least squares
    in the Woodbury form, ``w = X' (X X' + lambda diag(s)^-1)^-1 z``, unrolled; ``X`` has a column
    of ones. More than two classes are solved one against the rest, as in the released code, and so
    are two, of which the second logit is minus the first. ``lambda``, fixed there, is meta-learned.

    Departure: embeddings are divided by their root mean squared length in the support set, so that
    one ``lambda`` suits every encoder.
    """

    Hyperparameters = LRD2Hyperparameters

    def __init__(self, task: TaskSpec, hyper: LRD2Hyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self.penalty = Penalty(self.hyper.penalty)

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Fit a logistic regression per class: ``[B, Q, d] -> [B, Q, way]`` logits."""
        x = support.x.double()
        length = length_of(x)
        design = with_ones(x / length)
        labels = one_hot(support.y, support.way, x.dtype)
        two = support.way == 2  # noqa: PLR2004
        dual = reweighted_least_squares(
            design @ design.mT,
            labels[..., 1:] if two else labels,
            self.penalty().double(),
            self.hyper.steps,
        )
        if two:  # halves, so that the softmax of the pair is the sigmoid
            dual = torch.cat([-dual, dual], -1) / 2
        weight = design.mT @ dual
        return predictor(weight[:, :-1] / length, weight[:, -1:], support.x)


def reweighted_least_squares(kernel: Tensor, y: Tensor, penalty: Tensor, steps: int) -> Tensor:
    """Minimise ``sum_i log(1 + exp(-+ f_i)) + penalty / 2 |w|^2`` for each label by Newton steps.

    Args:
        kernel: ``[B, S, S]`` products of the examples.
        y: ``[B, S, k]`` labels 0 and 1, a column for each problem.
        penalty: Positive.
        steps: Newton steps from zero.

    Returns:
        ``[B, S, k]`` coefficients ``a`` of the examples, ``w = X' a``.
    """
    identity = torch.eye(y.shape[1], dtype=y.dtype, device=y.device)
    columns = []
    # One at a time: all at once would hold a matrix per class.
    for label in torch.split(y, 1, -1):
        score, dual = torch.zeros_like(label), torch.zeros_like(label)
        for _ in range(steps):
            p = score.sigmoid()
            variance = (p * (1 - p)).clamp_min(LEAST_VARIANCE)
            root = variance.sqrt()
            working = root * score + (label - p) / root
            factor = torch.linalg.cholesky(root * kernel * root.mT + penalty * identity)
            dual = root * torch.cholesky_solve(working, factor)
            score = kernel @ dual
        columns.append(dual)
    return torch.cat(columns, -1)
