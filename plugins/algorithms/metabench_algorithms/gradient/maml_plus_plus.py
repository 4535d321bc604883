"""MAML++: what makes MAML train stably."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from metabench.learners.contracts import Inputs, Query, Support, TaskSpec, bounded, task_loss
from metabench.learners.recipes import EpisodicRecipe
from metabench_algorithms.gradient.inner_loop import Weights, norm_weights
from metabench_algorithms.gradient.maml import MAML
from metabench_algorithms.gradient.rates import Rates
from metabench_algorithms.gradient.settings import GradientHyperparameters, rate_of

LEAST_IMPORTANCE = 0.03
"""Of an early step once the weights are annealed, over the number of steps (released code)."""


@dataclass(frozen=True, kw_only=True)
class MAMLPlusPlusHyperparameters(GradientHyperparameters):
    """Settings of MAML++; the other defaults are those of Finn et al. (2017).

    Attributes:
        schedule: Cosine annealing of the meta-learning rate (section 4, "cosine annealing"). Here
            it ends at 0, in the released code at 1e-5.
        multi_step: Share of the budget over which the query losses after all inner steps count,
            the last one more and more (section 4, "multi-step loss optimization"); 0 leaves that
            out. The released code takes 15 of 150 epochs.
        first_order_share: Share of the budget in which second derivatives are ignored (section 4,
            "derivative-order annealing"): 50 of 150 epochs; 0 leaves that out.
        learn_rates: Meta-learn a step size per weight tensor and step, all starting at
            ``inner_lr`` (section 4, "LSLR").
        per_step_norm: Give batch norm scale and shift of its own at each step (section 4, "BNWB"),
            which the inner loop does not adapt, as in the released code.
    """

    schedule: Literal["constant", "cosine", "halving"] = "cosine"
    multi_step: float = bounded(0.1, least=0, most=1)
    first_order_share: float = bounded(1 / 3, least=0, most=1)
    learn_rates: bool = True
    per_step_norm: bool = True

    def __post_init__(self) -> None:
        """Reject what cannot be annealed."""
        super().__post_init__()
        if (self.multi_step or self.first_order_share) and self.schedule != "cosine":
            raise ValueError(
                f"schedule={self.schedule!r} tells nothing of the budget; use 'cosine', or set "
                "multi_step and first_order_share to 0"
            )


class MAMLPlusPlus(MAML):
    """MAML with a loss after every step, learned step sizes and batch norm that knows the step.

    Antoniou, Edwards & Storkey (2019), "How to train your MAML", arXiv:1810.09502, section 4.
    Batch norm normalises by the statistics of the batch, as the authors' released code does too
    though it also records running ones per step; so nothing is left of their "BNRS" here.

    Attributes:
        progress: Share of the budget that is spent; its recipe keeps it up to date.
    """

    Hyperparameters = MAMLPlusPlusHyperparameters
    progress = 1.0

    def __init__(self, task: TaskSpec, hyper: MAMLPlusPlusHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        steps, weights = max(1, self.hyper.inner_steps), self._shared()
        norms = norm_weights(self._encoder) if self.hyper.per_step_norm else set()
        self._norms = [name for name, w in weights.items() if name in norms and w.requires_grad]
        self.norms = nn.ParameterList(
            nn.Parameter(weights[name].detach().repeat(steps, 1)) for name in self._norms
        )
        free = {k: w for k, w in weights.items() if w.requires_grad and self._adapts(k)}
        rate = rate_of(self.hyper, task)
        self.rates = Rates(free, lambda w: w.new_full((steps,), rate))
        self.rates.requires_grad_(self.hyper.learn_rates)

    def importance(self) -> list[float]:
        """Weight of the query loss after each inner step, at the present progress."""
        steps, share = self.hyper.inner_steps, self.hyper.multi_step
        if self.progress >= share or steps < 1:
            return [0.0] * (steps - 1) + [1.0]
        early = max((1 - self.progress / share) / steps, LEAST_IMPORTANCE / steps)
        return [early] * (steps - 1) + [1 - (steps - 1) * early]

    def _query_loss(self, support: Support[Inputs], query: Query[Inputs]) -> Tensor:
        importance = self.importance()
        if not torch.is_grad_enabled() or not any(importance[:-1]):
            return super()._query_loss(support, query)
        y = self.targets.encode(query.y)
        losses = [
            importance[step - 1] * task_loss(self._scores(weights, query.x, support.way), y)
            for step, weights in enumerate(self._path(support))
            if step
        ]
        return torch.stack(losses).sum()

    def _path(self, support: Support[Inputs]) -> Iterator[Weights]:
        for step, weights in enumerate(super()._path(support)):
            yield self._at(weights, max(step - 1, 0))

    def _inner_scores(self, weights: Weights, step: int, x: Inputs, way: int) -> Tensor:
        return self._scores(self._at(weights, step), x, way)

    def _at(self, weights: Weights, step: int) -> Weights:
        """Put in the scales and shifts of a step."""
        copies = len(next(iter(weights.values())))
        own = {
            name: values[min(step, len(values) - 1)].expand(copies, -1)
            for name, values in zip(self._norms, self.norms, strict=True)
        }
        return {**weights, **own}

    def _rate(self, name: str, step: int) -> Tensor:
        rates: Tensor = self.rates(name)
        return rates[min(step, len(rates) - 1)]

    def _adapts(self, name: str) -> bool:
        return name not in self._norms

    def _first_order(self) -> bool:
        return super()._first_order() or self.progress < self.hyper.first_order_share


class MAMLPlusPlusRecipe(EpisodicRecipe):
    """Episodic training that tells the learner how much of the budget is spent."""

    def update(self, step: int, optimizer: torch.optim.Optimizer) -> float:
        """Carry out one step.

        A recipe is not told the budget, so the share that is spent is read off the cosine
        schedule of the learning rate.
        """
        learner = self.setting.model.algorithm
        assert isinstance(learner, MAMLPlusPlus)
        if self.hyper.schedule == "cosine" and self.hyper.learning_rate:
            factor = optimizer.param_groups[0]["lr"] / self.hyper.learning_rate
            learner.progress = math.acos(min(1.0, max(-1.0, 2 * factor - 1))) / math.pi
        return super().update(step, optimizer)
