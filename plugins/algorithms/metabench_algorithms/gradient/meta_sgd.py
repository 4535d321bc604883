"""Meta-SGD: the direction of the inner step is learned too."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metabench.learners.contracts import TaskSpec
from metabench_algorithms.gradient.maml import MAML
from metabench_algorithms.gradient.rates import Rates
from metabench_algorithms.gradient.settings import GradientHyperparameters


@dataclass(frozen=True, kw_only=True)
class MetaSGDHyperparameters(GradientHyperparameters):
    """Settings of Meta-SGD; the other defaults are those of Finn et al. (2017).

    Attributes:
        inner_steps: One step (Li et al., section 3).
        test_steps: One step. More of them use the same step sizes.
        inner_lr: If set, every step size starts at this value.
        lowest_rate: Smallest initial step size (section 4: random numbers from 0.005 to 0.1).
        highest_rate: Largest initial step size.
    """

    inner_steps: int = 1
    test_steps: int = 1
    lowest_rate: float = 0.005
    highest_rate: float = 0.1

    def __post_init__(self) -> None:
        """Reject an empty range."""
        super().__post_init__()
        if self.lowest_rate > self.highest_rate:
            raise ValueError(
                f"lowest_rate={self.lowest_rate} exceeds highest_rate={self.highest_rate}"
            )


class MetaSGD(MAML):
    """One inner step whose size is meta-learned for every single weight.

    Li, Zhou, Chen & Li (2017), "Meta-SGD: Learning to learn quickly for few-shot learning",
    arXiv:1707.09835. Equation 2: ``theta' = theta - alpha * grad L_support(theta)``, element by
    element; algorithm 1 minimises the query loss at ``theta'`` over ``theta`` and ``alpha``.
    """

    Hyperparameters = MetaSGDHyperparameters

    def __init__(self, task: TaskSpec, hyper: MetaSGDHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        free = {name: w for name, w in self._shared().items() if w.requires_grad}
        self.rates = Rates(free, self._initial)

    def _initial(self, weight: Tensor) -> Tensor:
        if self.hyper.inner_lr is not None:
            return torch.full_like(weight, self.hyper.inner_lr)
        lowest, highest = self.hyper.lowest_rate, self.hyper.highest_rate
        return torch.empty_like(weight).uniform_(lowest, highest)

    def _rate(self, name: str, step: int) -> Tensor:
        del step
        found: Tensor = self.rates(name)
        return found
