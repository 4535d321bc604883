"""TADAM: a scaled metric in a space that depends on the task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
    class_means,
    one_hot,
)
from metabench_algorithms.shared.compare import negative_squared_distance

TINY = 1e-12
"""Least squared distance: the root has no gradient at 0."""


@dataclass(frozen=True, kw_only=True)
class TADAMHyperparameters(Hyperparameters):
    """Settings of Oreshkin et al. (2018), appendices B and D, and of the released code.

    They train from scratch by SGD at 0.1. Here the encoder comes pre-trained, and Adam has the
    loop's rate of 0.001.

    Attributes:
        scale: Where the learned ``alpha`` starts. 1 is the released default, by which it is not
            learned; the paper chooses it on meta-val, the released grid being 0.5 to 20.
        layer_width: Width of the conditioned layer, if the embeddings are not narrower: 512, the
            filters of their last block.
        layers: Layers of each of the two task embedding networks (3).
        penalty: L2 penalty of the multipliers of the conditioning (0.01).
        weight_decay: 0.0005.
        meta_batch: 2 episodes a step, as for 5 shots; 5 for 1 shot.
        schedule: They divide by 10 three times in the second half; here halved by fifths.
    """

    scale: float = 1.0
    layer_width: int = bounded(512, least=1)
    layers: int = bounded(3, least=1)
    penalty: float = 0.01
    weight_decay: float = 5e-4
    meta_batch: int = 2
    schedule: Literal["constant", "cosine", "halving"] = "halving"


class TADAM(Algorithm[Tensor]):
    """Nearest prototype by scaled distance, behind a layer that is conditioned on the task.

    Oreshkin, Rodriguez & Lacoste (2018), "TADAM: Task dependent adaptive metric for improved
    few-shot learning", arXiv:1805.10123. Section 2.1: logits are ``-alpha ||q - c||`` with a
    learned ``alpha``; the distance is not squared in the released code. Section 2.2: the mean of
    the prototypes represents the task, from which two networks predict ``gamma = gamma_0 h(.) + 1``
    and ``beta = beta_0 g(.)``, both multipliers starting at 0 and penalised.

    The paper conditions every convolution. Here encoders embed without knowing the task, so what
    is conditioned is a residual layer on embeddings, ``z + V swish(gamma * U z + beta)``, ``V``
    starting at 0. Supervised pre-training replaces the paper's auxiliary co-training.
    """

    Hyperparameters = TADAMHyperparameters

    def __init__(self, task: TaskSpec, hyper: TADAMHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        width = min(task.width, self.hyper.layer_width)
        self.enter, self.leave = nn.Linear(task.width, width), nn.Linear(width, task.width)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        self.to_gamma = TaskEmbedding(task.width, width, self.hyper.layers)
        self.to_beta = TaskEmbedding(task.width, width, self.hyper.layers)
        self.multipliers = nn.Parameter(torch.zeros(2))
        self.scale = nn.Parameter(torch.tensor(float(self.hyper.scale)))

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Condition on the task, average each class: ``[B, Q, d] -> [B, Q, way]`` logits."""
        present = one_hot(support.y, support.way, support.x.dtype).amax(1).unsqueeze(-1)
        task = (class_means(support) * present).sum(1, keepdim=True) / present.sum(1, keepdim=True)
        gamma = self.multipliers[0] * self.to_gamma(task) + 1
        beta = self.multipliers[1] * self.to_beta(task)

        def condition(x: Tensor) -> Tensor:
            moved: Tensor = self.leave(F.silu(gamma * self.enter(x) + beta))
            return x + moved

        prototypes = class_means(Support(condition(support.x), support.y, support.way))

        def predict(query: Tensor) -> Tensor:
            squares = -negative_squared_distance(condition(query), prototypes)
            return -self.scale * squares.clamp_min(TINY).sqrt()

        return predict

    def loss(self, support: Support[Tensor], query: Query[Tensor]) -> Tensor:
        """Cross-entropy of the queries and the penalty of the multipliers."""
        penalty: Tensor = self.hyper.penalty / 2 * self.multipliers.square().sum()
        return super().loss(support, query) + penalty


class TaskEmbedding(nn.Module):
    """Fully connected layers with skip connections after the first (appendix B)."""

    def __init__(self, width: int, target: int, layers: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, target)
        self.others = nn.ModuleList(nn.Linear(target, target) for _ in range(layers - 1))

    def forward(self, task: Tensor) -> Tensor:
        """``[B, 1, d]`` task representations to ``[B, 1, target]``."""
        hidden: Tensor = self.first(task)
        for layer in self.others:
            active = F.silu(hidden)
            hidden = active + layer(active)
        return hidden
