"""LoRA: low-rank updates of the weight matrices."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metabench.learners.contracts import bounded
from metabench_algorithms.gradient.inner_loop import Weights
from metabench_algorithms.transfer.tuning import TunedLearner, TuningHyperparameters

DOWN, UP = "@down.", "@up."


@dataclass(frozen=True, kw_only=True)
class LoRAHyperparameters(TuningHyperparameters):
    """Settings of the paper's appendix D.1, for RoBERTa base on GLUE.

    Attributes:
        tuning_rate: At least 25 epochs of 4e-4 to 5e-4 there.
        rank: ``r``.
        alpha: The update is scaled by ``alpha / r``; 16 in the released scripts.
    """

    tuning_rate: float = 1e-3
    rank: int = bounded(8, least=1)
    alpha: float = 8.0


class LoRA(TunedLearner):
    """Adds ``alpha / r * B A`` to weight matrices ``W``, tunes ``A``, ``B`` and a new head.

    Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang & Chen (2021), "LoRA: low-rank adaptation of large
    language models", arXiv:2106.09685, section 4.1: ``A`` starts at random (as a linear layer in
    the released code) and ``B`` at zero. Departures: every linear and convolutional layer is
    adapted, not only queries and values of attention, since the encoder may be any, and the kernel
    of a convolution counts as a matrix of one row per output; the random start is the same in every
    episode; 10 steps of 1e-3 on the whole support set instead of 25 epochs of 4e-4; the head starts
    at the class means; nothing is dropped out.
    """

    Hyperparameters = LoRAHyperparameters

    def start(self) -> Weights:
        """``A [r, in]`` and ``B [out, r]`` of every adapted layer."""
        generator = torch.Generator().manual_seed(0)
        factors = {}
        for name, weight in self._matrices().items():
            outputs, inputs = weight.flatten(1).shape
            bound = inputs**-0.5
            down = torch.empty(self.hyper.rank, inputs).uniform_(-bound, bound, generator=generator)
            factors[DOWN + name] = down.to(weight)
            factors[UP + name] = weight.new_zeros(outputs, self.hyper.rank)
        return factors

    def merge(self, tuned: Weights) -> Weights:
        """``W + alpha / r * B A``."""
        share = self.hyper.alpha / self.hyper.rank
        return {
            name: weight + share * (tuned[UP + name] @ tuned[DOWN + name]).view_as(weight)
            for name, weight in self._matrices().items()
        }

    def _matrices(self) -> dict[str, Tensor]:
        """The weights of linear and convolutional layers, without gradients."""
        adapted = (nn.Linear, nn.Conv1d, nn.Conv2d)
        return {
            f"{path}.weight" if path else "weight": module.weight.detach()
            for path, module in self.encoder.named_modules()
            if isinstance(module, adapted)
        }
