"""Reptile: move towards the weights that training on a task ends at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from metabench.learners.contracts import Inputs, Query, Support, bounded, task_loss
from metabench.learners.recipes import EpisodicRecipe
from metabench_algorithms.gradient.inner_loop import Weights, gradients, usable
from metabench_algorithms.gradient.maml import MAML
from metabench_algorithms.gradient.settings import GradientHyperparameters

SQUARES_KEPT, TINY = 0.999, 1e-8


@dataclass(frozen=True, kw_only=True)
class ReptileHyperparameters(GradientHyperparameters):
    """Settings of Reptile: transductive 1-shot 5-way Omniglot in Nichol et al. and their code.

    In regression those of the authors' sine waves (https://openai.com/research/reptile).

    Attributes:
        learning_rate: Share of the way to the mean of the tasks' weights, the paper's
            ``epsilon``; the optimiser's own rule is not used.
        schedule: Of that share; in the paper it goes to 0 linearly.
        meta_batch: Tasks per outer step.
        inner_steps: Inner steps in meta-training.
        test_steps: Inner steps in evaluation, each on the whole support set.
        regression_steps: The same in regression.
        inner_batch: Examples per inner step in meta-training.
        inner_optimizer: ``adam`` without momentum, which starts anew with each task, or ``sgd``;
            ``None`` is Adam for classes and SGD in regression.
        inner_lr: ``None`` is 1e-3 for Adam and 0.02 for SGD.
        clip_norm: Nothing is clipped.
    """

    learning_rate: float = 1.0
    schedule: Literal["constant", "cosine", "halving"] = "cosine"
    meta_batch: int = 10
    inner_steps: int = 3
    test_steps: int = 5
    regression_steps: int = 32
    inner_batch: int = bounded(25, least=1)
    inner_optimizer: Literal["adam", "sgd"] | None = None
    clip_norm: float = 0.0


class Reptile(MAML):
    """Training on a task from meta-learned weights, which move towards where it ends.

    Nichol, Achiam & Schulman (2018), "On first-order meta-learning algorithms", arXiv:1803.02999.
    Algorithm 2: ``phi += epsilon * mean(W - phi)``, ``W`` being the weights after some steps of
    Adam or SGD on mini-batches of a task. Support and query examples of a training episode together
    are the task. Of the two evaluations in the paper this is the transductive one: batch norm sees
    all the queries at once.
    """

    Hyperparameters = ReptileHyperparameters

    def _meta_gradient(
        self, support: Support[Inputs], query: Query[Inputs], share: float
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the training loss and ``phi - mean(W)``, both times ``share``."""
        x = {name: torch.cat([t, query.x[name]], 1) for name, t in support.x.items()}
        task = Support(x, torch.cat([support.y, query.y], 1), support.way)
        size = task.y.shape[1]
        needed = self.hyper.inner_steps * self.hyper.inner_batch
        order = torch.cat([torch.randperm(size) for _ in range(-(-needed // size))])[:needed]
        ended, loss = self._train_on(task, torch.split(order, self.hyper.inner_batch))
        begun = {name: w for name, w in self._shared().items() if w.requires_grad}
        return share * loss, tuple(share * (w - ended[n].mean(0)) for n, w in begun.items())

    def _adapt(self, support: Support[Inputs]) -> Weights:
        regression = self.task.kind == "regression"
        steps = self.hyper.regression_steps if regression else self.hyper.test_steps
        everything = torch.arange(support.y.shape[1])
        return self._train_on(support, [everything] * steps)[0]

    def _train_on(self, task: Support[Inputs], batches: Iterable[Tensor]) -> tuple[Weights, Tensor]:
        """Train a copy per episode; return its weights ``[T, *shape]`` and the mean loss."""
        losses = []
        with gradients():
            x = {name: usable(t) for name, t in task.x.items()}
            y = self.targets.encode(usable(task.y))
            start = self._start(task)
            free = [name for name, w in start.items() if w.requires_grad]
            weights = {name: w.detach() for name, w in start.items()}
            squares = {name: torch.zeros_like(weights[name]) for name in free}
            for step, batch in enumerate(batches):
                leaves = [weights[name].requires_grad_() for name in free]
                some = {name: t[:, batch] for name, t in x.items()}
                loss = task_loss(self._scores(weights, some, task.way), y[:, batch])
                slopes = torch.autograd.grad(
                    len(y) * loss, leaves, allow_unused=True, materialize_grads=True
                )
                for name, g in zip(free, slopes, strict=True):
                    weights[name] = weights[name].detach() - self._step(g, squares[name], step)
                losses.append(loss.detach())
        mean = torch.stack(losses).mean() if losses else torch.zeros(())
        return weights, mean

    def _step(self, slope: Tensor, squares: Tensor, number: int) -> Tensor:
        """Return what to subtract; ``squares``, a running mean, is updated."""
        rule = self.hyper.inner_optimizer
        if rule == "sgd" or (rule is None and self.task.kind == "regression"):
            return (0.02 if self.hyper.inner_lr is None else self.hyper.inner_lr) * slope
        squares.mul_(SQUARES_KEPT).addcmul_(slope, slope, value=1 - SQUARES_KEPT)
        unbiased = squares / (1 - SQUARES_KEPT ** (number + 1))
        rate = 1e-3 if self.hyper.inner_lr is None else self.hyper.inner_lr
        return rate * slope / (unbiased.sqrt() + TINY)


class ReptileRecipe(EpisodicRecipe):
    """Episodes as in episodic training; the weights are interpolated."""

    def update(self, step: int, optimizer: torch.optim.Optimizer) -> float:
        """Move by a share of the way; the optimiser only tells which weights, and the share."""
        optimizer.zero_grad(set_to_none=True)
        loss = self.loss(step)
        torch.autograd.backward(loss)
        with torch.no_grad():
            for group in optimizer.param_groups:
                for weight in group["params"]:
                    if weight.grad is not None:
                        weight.sub_(group["lr"] * weight.grad)
        return float(loss.detach())
