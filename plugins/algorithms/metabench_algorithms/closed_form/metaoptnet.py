"""MetaOptNet: a support vector machine as a differentiable base learner."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.learners.contracts import (
    Algorithm,
    Hyperparameters,
    Predictor,
    Query,
    Support,
    TaskSpec,
    bounded,
    one_hot,
)
from metabench_algorithms.shared.svm import crammer_singer


@dataclass(frozen=True, kw_only=True)
class MetaOptNetHyperparameters(Hyperparameters):
    """Settings of the head, from Lee et al. (2019), section 4.1, and the released code.

    They train by SGD at 0.1 with 8 episodes a step, at 15, 10 or 5 shots by data set whatever the
    test's; budgets here are smaller, so optimiser, rate, batch and shot are the loop's.

    Attributes:
        cost: ``C`` of the machine (0.1).
        ridge: Added to the diagonal of the kernel in the fit; the released code adds 1.
        scale: Where the learned factor of the scores starts (1, released code).
        label_smoothing: Share of the wrong classes in the targets of meta-training (0.1).
    """

    cost: float = bounded(0.1, above=0)
    ridge: float = bounded(1.0, least=0)
    scale: float = 1.0
    label_smoothing: float = bounded(0.1, least=0, below=0.5)


class MetaOptNet(Algorithm[Tensor]):
    """A linear multi-class support vector machine, through which the encoder is trained.

    Lee, Maji, Ravichandran & Soatto (2019), "Meta-learning with differentiable convex
    optimization", arXiv:1904.03758. Equation 4 is the machine of Crammer & Singer (2001), solved in
    the dual (equations 9, 10) and differentiated through its optimality conditions (section 3.3);
    it has no intercept. Scores are multiplied by a learned factor (equation 12).
    """

    Hyperparameters = MetaOptNetHyperparameters

    def __init__(self, task: TaskSpec, hyper: MetaOptNetHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self.scale = nn.Parameter(torch.tensor(self.hyper.scale))

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Fit the machines of all episodes: ``[B, Q, d] -> [B, Q, way]`` scores."""
        x = support.x.double()
        identity = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        kernel = x @ x.mT + self.hyper.ridge * identity
        labels = one_hot(support.y, support.way, x.dtype)
        weight = self.scale * (x.mT @ crammer_singer(kernel, labels, self.hyper.cost))

        def predict(query: Tensor) -> Tensor:
            return query @ weight.to(query)

        return predict

    def loss(self, support: Support[Tensor], query: Query[Tensor]) -> Tensor:
        """Cross-entropy with smoothed labels; the wrong classes share ``label_smoothing``."""
        way = support.way
        scores = self.adapt(support)(query.x).flatten(0, 1)
        evenly = self.hyper.label_smoothing * way / (way - 1)  # torch's includes the right class
        return F.cross_entropy(scores, query.y.flatten(), label_smoothing=evenly)
