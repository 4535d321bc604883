"""Baseline: a linear head trained on the support set by stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metabench.learners.contracts import Algorithm, Hyperparameters, Predictor, Support, one_hot
from metabench_algorithms.shared.linear import linear_predictor


@dataclass(frozen=True, kw_only=True)
class BaselineHyperparameters(Hyperparameters):
    """Settings of the head, from the released code of Chen et al. (2019).

    Attributes:
        head_epochs: Passes over the support set.
        head_batch: Support examples per step.
        head_learning_rate: Step size.
        head_momentum: Of SGD.
        head_dampening: Of SGD.
        head_weight_decay: L2 penalty of weights and bias.
    """

    head_epochs: int = 100
    head_batch: int = 4
    head_learning_rate: float = 0.01
    head_momentum: float = 0.9
    head_dampening: float = 0.9
    head_weight_decay: float = 0.001


class Baseline(Algorithm[Tensor]):
    """Supervised pre-training, then a new linear classifier on fixed embeddings.

    Chen, Liu, Kira, Wang & Huang (2019), "A closer look at few-shot classification",
    arXiv:1904.04232, section 3.2. Departures: the head starts at zero, not at random, and batches
    follow one random order per size of the support. As with any SGD, scores depend on that order.
    """

    Hyperparameters = BaselineHyperparameters
    support_order_free = False

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Train a head: ``[B, Q, d] -> [B, Q, way]`` logits."""
        # A constant feature carries the bias, which SGD treats like any weight.
        gram = torch.baddbmm(support.x.new_ones(()), support.x, support.x.transpose(1, 2))
        target = one_hot(support.y, support.way, support.x.dtype)
        a = descend(gram, target, self.hyper)
        weight, bias = support.x.transpose(1, 2) @ a, a.sum(1, keepdim=True)
        return linear_predictor(weight, bias, lambda query: query)


@torch.no_grad()
def descend(gram: Tensor, target: Tensor, hyper: BaselineHyperparameters) -> Tensor:
    """Run ``torch.optim.SGD`` on softmax regression, on coefficients of the support examples.

    Args:
        gram: ``[B, S, S]`` inner products of the support examples.
        target: ``[B, S, way]`` one-hot labels.
        hyper: Settings.

    Returns:
        ``[B, S, way]`` coefficients ``a`` of the weights ``X^T a``.
    """
    generator = torch.Generator().manual_seed(0)
    a, velocity = torch.zeros_like(target), torch.zeros_like(target)
    fresh = 1.0  # SGD does not dampen its first step
    for _ in range(hyper.head_epochs):
        order = torch.randperm(target.shape[1], generator=generator).to(target.device)
        for batch in torch.split(order, hyper.head_batch):
            logits = gram[:, batch] @ a
            error = (logits.softmax(-1) - target[:, batch]) * (fresh / len(batch))
            velocity.mul_(hyper.head_momentum).add_(a, alpha=fresh * hyper.head_weight_decay)
            velocity.index_add_(1, batch, error)
            a.sub_(velocity, alpha=hyper.head_learning_rate)
            fresh = 1 - hyper.head_dampening
    return a
