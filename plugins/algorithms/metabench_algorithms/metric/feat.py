"""FEAT: prototypes adapted to the task by self-attention."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

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
    task_loss,
)
from metabench_algorithms.shared.compare import negative_squared_distance


@dataclass(frozen=True, kw_only=True)
class FEATHyperparameters(Hyperparameters):
    """Settings of the released code, whose commands differ by encoder and shot.

    Attributes:
        temperature: Divides the logits; 64 in most commands, 32 in the others.
        regularizer_temperature: Divides the logits of the regulariser; 64, 32 or 16.
        balance: Weight of the regulariser: 0.1 in most commands; 1 and 0.01 occur.
        attention_width: The projections are as wide as the embeddings, but no wider than this; 640
            is the widest encoder of the paper.
        attention_dropout: Of the attention weights: 0.1.
        dropout: Of the attention's output: 0.5.
        rate_multiplier: The attention learns this many times faster than the encoder: 10.
        learning_rate: Of Adam, for a Conv4 after pre-training: 0.0001.
        schedule: Halved every 20 of 200 epochs; here every fifth of the budget.
    """

    temperature: float = bounded(64.0, above=0)
    regularizer_temperature: float = bounded(64.0, above=0)
    balance: float = 0.1
    attention_width: int = bounded(640, least=1)
    attention_dropout: float = bounded(0.1, least=0, below=1)
    dropout: float = bounded(0.5, least=0, below=1)
    rate_multiplier: float = bounded(10.0, above=0)
    learning_rate: float = 1e-4
    schedule: Literal["constant", "cosine", "halving"] = "halving"


class FEAT(Algorithm[Tensor]):
    """Nearest adapted prototype.

    Ye, Hu, Zhan & Sha (2020), "Few-shot learning via embedding adaptation with set-to-set
    functions", arXiv:1812.03664. A transformer layer without positions and with one head maps the
    set of prototypes to itself; the logit of a class is the negative squared distance to its
    adapted prototype over a temperature. The contrastive regulariser: in meta-training, all
    examples of a class are adapted among themselves as well, and every example has to be nearest
    to the mean of its own class's. A class without examples is attended to by none.
    """

    Hyperparameters = FEATHyperparameters

    def __init__(self, task: TaskSpec, hyper: FEATHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self.attention = SetAttention(task.width, self.hyper)

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Adapt the prototypes: ``[B, Q, d] -> [B, Q, way]`` logits."""
        present = one_hot(support.y, support.way, torch.bool).any(1)
        prototypes = self.attention(class_means(support), present.unsqueeze(1))

        def predict(query: Tensor) -> Tensor:
            return negative_squared_distance(query, prototypes).div(self.hyper.temperature)

        return predict

    def loss(self, support: Support[Tensor], query: Query[Tensor]) -> Tensor:
        """Cross-entropy of the queries, plus that of all examples by their adapted means."""
        loss = super().loss(support, query)
        if not self.hyper.balance:
            return loss
        x, y = torch.cat([support.x, query.x], 1), torch.cat([support.y, query.y], 1)
        adapted = self.attention(x, y.unsqueeze(2) == y.unsqueeze(1))
        centres = class_means(Support(adapted, y, support.way))
        logits = negative_squared_distance(x, centres) / self.hyper.regularizer_temperature
        return loss.add(task_loss(logits, y), alpha=self.hyper.balance)


class SetAttention(nn.Module):
    """Scaled dot-product self-attention with one head, a skip connection and layer norm."""

    def __init__(self, width: int, hyper: FEATHyperparameters) -> None:
        super().__init__()
        inner = min(width, hyper.attention_width)
        self.asked = nn.Linear(width, inner, bias=False)
        self.offered = nn.Linear(width, inner, bias=False)
        self.value = nn.Linear(width, inner, bias=False)
        for layer in (self.asked, self.offered, self.value):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / (width + inner)))
        self.leave = nn.Linear(inner, width)
        nn.init.xavier_normal_(self.leave.weight)
        self.norm = nn.LayerNorm(width)
        self.attention_dropout, self.dropout = hyper.attention_dropout, hyper.dropout
        for child in self.children():
            speed_up(child, hyper.rate_multiplier)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        """Adapt ``[B, n, d]``, where ``visible [B, n or 1, n]`` says who attends to whom."""
        alike = self.asked(x) @ self.offered(x).mT / math.sqrt(self.asked.out_features)
        weights = alike.masked_fill(~visible, -math.inf).softmax(-1)
        weights = F.dropout(weights, self.attention_dropout, self.training)
        read = F.dropout(self.leave(weights @ self.value(x)), self.dropout, self.training)
        return torch.as_tensor(self.norm(read + x))


class Times(nn.Module):
    """Multiply what is stored by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, stored: Tensor) -> Tensor:
        """Return the parameter."""
        return stored * self.factor

    def right_inverse(self, parameter: Tensor) -> Tensor:
        """Return what to store."""
        return parameter / self.factor


def speed_up(layer: nn.Module, factor: float) -> None:
    """Store a layer's parameters divided by ``factor``.

    Adam's steps do not depend on the scale of the gradient, so the parameters move ``factor`` times
    as far as they would otherwise, and as in a parameter group with a rate of its own.
    """
    for name in [name for name, _ in layer.named_parameters(recurse=False)]:
        parametrize.register_parametrization(layer, name, Times(factor))
