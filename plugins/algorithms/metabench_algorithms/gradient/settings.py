"""Settings and pieces that the gradient-based learners share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from metabench.errors import UsageError
from metabench.learners.contracts import Hyperparameters, TaskSpec, bounded


@dataclass(frozen=True, kw_only=True)
class GradientHyperparameters(Hyperparameters):
    """Settings of MAML and its relatives.

    Finn et al. (2017), appendix A.1, use 1 step of 0.4 (3 at test) on 5-way Omniglot, 5 steps of
    0.1 on 20-way Omniglot, 5 steps of 0.01 (10 at test) on miniImageNet. The defaults are the
    setting that they and Antoniou et al. (2019), arXiv:1810.09502, section 5, train and test with.
    On sinusoid regression (section 5.1) Finn et al. use 1 step of 0.01 and a meta-batch of 25.

    Attributes:
        inner_steps: Gradient steps on the support set in meta-training.
        test_steps: Gradient steps on the support set in evaluation.
        inner_lr: Step size of both; ``None`` is 0.1 for classes and 0.01 in regression, where the
            gradient grows with the error.
        first_order: Ignore second derivatives (Finn et al., section 5.2).
        meta_batch: 4 as on 1-shot miniImageNet; 32 and 16 on Omniglot.
        clip_norm: The released code clips each element of the miniImageNet meta-gradient at 10.
        class_lr: The step size for classes where ``inner_lr`` is ``None``; no option.
        standardize: In regression, learn in units of the meta-train targets seen so far, so that
            the step size fits whatever their scale is. Finn et al. take targets as they are.
    """

    inner_steps: int = bounded(5, least=0)
    test_steps: int = bounded(5, least=0)
    inner_lr: float | None = bounded(None, least=0)
    first_order: bool = False
    meta_batch: int = 4
    clip_norm: float = 10.0
    standardize: bool = True
    class_lr: ClassVar[float] = 0.1


def meta_head(task: TaskSpec, hyper: GradientHyperparameters) -> nn.Linear:
    """Build the linear head whose initial weights are meta-learned.

    Args:
        task: Gives the width and the number of outputs.
        hyper: Its ``train_way`` must agree, because the head has one output per class.

    Raises:
        UsageError: If ``train_way`` differs from the way of the test episodes.
    """
    if hyper.train_way not in (None, task.way):
        raise UsageError(
            f"train_way={hyper.train_way} but the test episodes are {task.way}-way; a meta-learned "
            f"head has one output per class, so leave train_way out or set it to {task.way}"
        )
    head = nn.Linear(task.width, task.way)
    nn.init.xavier_uniform_(head.weight)
    nn.init.zeros_(head.bias)
    return head


def check_way(head: nn.Linear, way: int) -> None:
    """Refuse an episode with more classes than the head has outputs."""
    if way > head.out_features:
        raise UsageError(f"a {way}-way episode for a head that was built for {head.out_features}")


def steps_of(hyper: GradientHyperparameters, module: nn.Module) -> int:
    """Inner steps in the module's present mode, which ``train()`` and ``eval()`` set."""
    return hyper.inner_steps if module.training else hyper.test_steps


def rate_of(hyper: GradientHyperparameters, task: TaskSpec) -> float:
    """Inner step size, by default that of the kind of task."""
    if hyper.inner_lr is not None:
        return hyper.inner_lr
    return 0.01 if task.kind == "regression" else hyper.class_lr
