"""The scale of regression targets, learned along with the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metabench.learners.contracts import TaskSpec


class TargetScale(nn.Module):
    """Mean and standard deviation of the meta-train targets seen so far, output by output.

    A learner whose step size or noise level is a number needs targets of the order of 1. The
    statistics grow while the weights are meta-trained and are saved with them, like those of batch
    norm; no test target enters. Until the first update, and for classes always, targets stay as
    they are. Moments are merged as in Chan, Golub & LeVeque (1983), "Algorithms for computing the
    sample variance", equation 2.1.

    Args:
        task: Gives the kind of task and the number of outputs.
        enabled: ``False`` leaves the targets of regression alone too.
    """

    count: Tensor
    mean: Tensor
    squares: Tensor

    def __init__(self, task: TaskSpec, *, enabled: bool = True) -> None:
        super().__init__()
        self.active = enabled and task.kind == "regression"
        if self.active:
            self.register_buffer("count", torch.zeros((), dtype=torch.float64))
            self.register_buffer("mean", torch.zeros(task.way, dtype=torch.float64))
            self.register_buffer("squares", torch.zeros(task.way, dtype=torch.float64))

    @torch.no_grad()
    def update(self, *targets: Tensor) -> None:
        """Take in targets ``[B, n, k]`` if the module is in training mode."""
        if not (self.active and self.training):
            return
        for y in targets:
            values = y.flatten(0, 1).to(self.mean)
            mean = values.mean(0)
            total = self.count + len(values)
            away = mean - self.mean
            self.squares += (values - mean).square().sum(0)
            self.squares += away.square() * (self.count * len(values) / total)
            self.mean += away * (len(values) / total)
            self.count.copy_(total)

    def encode(self, y: Tensor) -> Tensor:
        """``[B, n, k]`` targets in standard units; anything else unchanged."""
        return (y - self.mean.to(y)) / self._deviation().to(y) if self.active else y

    def decode(self, y: Tensor) -> Tensor:
        """Undo ``encode``."""
        return y * self._deviation().to(y) + self.mean.to(y) if self.active else y

    def _deviation(self) -> Tensor:
        deviation = (self.squares / self.count.clamp_min(1)).sqrt()
        return torch.where(deviation > 0, deviation, 1)
