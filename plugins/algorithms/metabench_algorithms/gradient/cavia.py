"""CAVIA: only a small vector of context is adapted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.learners.contracts import Algorithm, Predictor, Query, Support, TaskSpec, task_loss
from metabench_algorithms.gradient.inner_loop import gradients, usable
from metabench_algorithms.gradient.settings import (
    GradientHyperparameters,
    check_way,
    meta_head,
    steps_of,
)
from metabench_algorithms.shared.targets import TargetScale


@dataclass(frozen=True, kw_only=True)
class CAVIAHyperparameters(GradientHyperparameters):
    """Settings of CAVIA.

    The meta-batch is that of the other learners here; the released code takes 16 tasks (25 in
    regression).

    Attributes:
        inner_steps: 2 for classes (released code).
        test_steps: 2.
        regression_steps: 1 in regression (released code), in training and test.
        inner_lr: ``None`` is 1.0 (released code).
        context: Length of the context; ``None`` is 100 for classes and 5 in regression.
        hidden: Units of the two hidden layers of the head, as in Finn et al. (2017) for sinusoids
            40; ``None`` is 128 for classes, the filters of a larger network of the paper's.
    """

    inner_steps: int = 2
    test_steps: int = 2
    regression_steps: int = 1
    context: int | None = None
    hidden: int | None = None


class CAVIA(Algorithm[Tensor]):
    """A head on embeddings that is modulated by adapted context parameters.

    Zintgraf, Shiarlis, Kurin, Hofmann & Whiteson (2019), "Fast context adaptation via
    meta-learning", arXiv:1810.03642, section 3. The context starts at 0 and descends the support
    loss; the outer loop trains everything else, through the inner gradients unless ``first_order``.
    In regression the context joins the input of the first layer, which adds a vector to its result;
    for classes it gives scales and shifts of it (FiLM). In the paper that layer is a convolution,
    the third by default in the released code; here it is the first of a head, so that any encoder
    will do and is embedded once. Layer norm stands for the paper's batch norm, so that queries do
    not touch each other.
    """

    Hyperparameters = CAVIAHyperparameters
    label_equivariant = False

    def __init__(self, task: TaskSpec, hyper: CAVIAHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self._film = task.kind != "regression"
        context = self.hyper.context or (100 if self._film else 5)
        hidden = self.hyper.hidden or (128 if self._film else 40)
        self.first = nn.Linear(task.width, hidden)
        self.scale = nn.Linear(context, hidden) if self._film else None
        self.shift = nn.Linear(context, hidden, bias=False)
        self.second = nn.Linear(hidden, hidden)
        self.head = meta_head(TaskSpec(task.kind, task.way, hidden), self.hyper)
        if self.scale is not None:
            nn.init.ones_(self.scale.bias)
        self.targets = TargetScale(task, enabled=self.hyper.standardize)

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Adapt a context per episode: ``[B, Q, d] -> [B, Q, way]`` logits or values."""
        check_way(self.head, support.way)
        differentiable = torch.is_grad_enabled()
        rate = 1.0 if self.hyper.inner_lr is None else self.hyper.inner_lr
        steps = steps_of(self.hyper, self) if self._film else self.hyper.regression_steps
        with gradients():
            y = self.targets.encode(usable(support.y))
            before = self._before(usable(support.x))
            before = before if differentiable else before.detach()
            context = before.new_zeros(len(y), 1, self.shift.in_features, requires_grad=True)
            for _ in range(steps):
                loss = len(y) * task_loss(self._after(before, context, support.way), y)
                (steepest,) = torch.autograd.grad(
                    loss,
                    context,
                    create_graph=differentiable and not self.hyper.first_order,
                    retain_graph=True,
                )
                context = context - rate * steepest
        if not differentiable:
            context = context.detach()

        def predict(query: Tensor) -> Tensor:
            return self.targets.decode(self._after(self._before(query), context, support.way))

        return predict

    def loss(self, support: Support[Tensor], query: Query[Tensor]) -> Tensor:
        """Mean query loss, in regression in standard units."""
        self.targets.update(support.y, query.y)
        predicted = self.targets.encode(self.adapt(support)(query.x))
        return task_loss(predicted, self.targets.encode(query.y))

    def _before(self, x: Tensor) -> Tensor:
        """The part that knows nothing of the context, ``[B, n, hidden]``."""
        x = self.first(x)
        return F.layer_norm(x, x.shape[-1:]) if self._film else x

    def _after(self, x: Tensor, context: Tensor, way: int) -> Tensor:
        """``[B, n, way]`` from ``[B, n, hidden]`` and ``[B, 1, context]``."""
        if self.scale is not None:
            x = x * self.scale(context)
        x = F.relu(self.second(F.relu(x + self.shift(context))))
        scores: Tensor = self.head(x)[..., :way]
        return scores
