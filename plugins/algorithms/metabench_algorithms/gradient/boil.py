"""BOIL: the inner loop leaves the head as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metabench_algorithms.gradient.adapting import HEAD
from metabench_algorithms.gradient.maml import MAML
from metabench_algorithms.gradient.settings import GradientHyperparameters


@dataclass(frozen=True, kw_only=True)
class BOILHyperparameters(GradientHyperparameters):
    """Settings of BOIL; the other defaults are those of Finn et al. (2017).

    Attributes:
        inner_steps: One step, as in the released code.
        test_steps: As many as in meta-training.
        class_lr: 0.5 for a Conv4 (released code; 0.3 for a ResNet). In regression, which the paper
            leaves out, the step size is that of MAML.
    """

    inner_steps: int = 1
    test_steps: int = 1
    class_lr: ClassVar[float] = 0.5


class BOIL(MAML):
    """MAML that adapts the body and not the head.

    Oh, Yoo, Kim & Yun (2021), "BOIL: Towards representation change for few-shot learning",
    arXiv:2008.08882, section 3: inner step size 0 for the head. The outer loop
    trains both.
    """

    Hyperparameters = BOILHyperparameters

    def _adapts(self, name: str) -> bool:
        return not name.startswith(HEAD)
