"""What R2-D2 and LR-D2 share: the scale of the embeddings and the learned penalty.

Bertinetto, Henriques, Torr & Vedaldi (2019), "Meta-learning with differentiable closed-form
solvers", arXiv:1805.08136.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.learners.contracts import Hyperparameters, Predictor, bounded
from metabench_algorithms.shared.linear import linear_predictor, prepare


@dataclass(frozen=True, kw_only=True)
class BaseLearnerHyperparameters(Hyperparameters):
    """Settings of Bertinetto et al. (2019), section 4, and of their released code.

    Adam at 5e-3, halved every 2,000 episodes (here: every fifth of the budget).

    Attributes:
        penalty: Where the learned penalty ``lambda`` starts. The released code has 50 for
            embeddings of 8,064 elements of the order of 1 (CIFAR-FS); here embeddings are scaled
            to a mean squared length of 1, hence 50 / 8,064.
    """

    learning_rate: float = 5e-3
    schedule: Literal["constant", "cosine", "halving"] = "halving"
    penalty: float = bounded(0.0062, above=0)


class Penalty(nn.Module):
    """A positive number that is learned as its logarithm.

    Args:
        start: Its first value.
    """

    def __init__(self, start: float) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(math.log(start)))

    def forward(self) -> Tensor:
        """Return the number."""
        return self.log.exp()


def length_of(x: Tensor) -> Tensor:
    """Root mean squared length ``[B, 1, 1]`` of ``[B, S, d]`` embeddings; 1 if all are zero."""
    mean = x.square().sum(-1).mean(1).view(-1, 1, 1)
    return torch.where(mean > 0, mean, 1).sqrt()


def with_ones(x: Tensor) -> Tensor:
    """Append a feature that is 1, whose weight is the intercept."""
    return F.pad(x, (0, 1), value=1.0)


def predictor(weight: Tensor, bias: Tensor, like: Tensor) -> Predictor[Tensor]:
    """Return ``q -> q W + b`` in the dtype of ``like``."""
    return linear_predictor(weight.to(like), bias.to(like), lambda x: prepare(x, normalize=False))
