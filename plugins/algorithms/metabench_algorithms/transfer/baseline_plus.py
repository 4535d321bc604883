"""Baseline++: a cosine classifier trained on the support set by stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metabench.learners.contracts import Algorithm, Predictor, Support, one_hot
from metabench_algorithms.transfer.baseline import BaselineHyperparameters

TINY = 1e-5
START = 3**-0.5
"""Expected length of a weight vector of ``torch.nn.Linear``, whatever its number of inputs."""


@dataclass(frozen=True, kw_only=True)
class BaselinePlusHyperparameters(BaselineHyperparameters):
    """Settings of the head, from the released code of Chen et al. (2019).

    Attributes:
        scale: Factor of the cosines; 2 for up to 200 classes, 10 for more.
    """

    scale: float = 2.0


class BaselinePlus(Algorithm[Tensor]):
    """Supervised pre-training, then a new classifier by cosine on fixed embeddings.

    Chen, Liu, Kira, Wang & Huang (2019), "A closer look at few-shot classification",
    arXiv:1904.04232, section 3.3. As released, class ``k`` scores ``scale g_k cos(v_k, x)``, where
    the length ``g`` is learned beside the direction of ``v`` (weight normalisation).

    Departures: pre-training is that of all learners, with a linear instead of a cosine classifier;
    each ``v_k`` starts orthogonal to all examples, as random directions in many dimensions nearly
    are; mini-batches follow one fixed random order, as in `Baseline`.
    """

    Hyperparameters = BaselinePlusHyperparameters
    support_order_free = False

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Train a head: ``[B, Q, d] -> [B, Q, way]`` logits."""
        x = _unit(support.x)
        target = one_hot(support.y, support.way, x.dtype)
        weight = x.transpose(1, 2) @ descend(x @ x.transpose(1, 2), target, self.hyper)

        def predict(query: Tensor) -> Tensor:
            return _unit(query) @ weight

        return predict


@torch.no_grad()
def descend(gram: Tensor, target: Tensor, hyper: BaselinePlusHyperparameters) -> Tensor:
    """Run ``torch.optim.SGD`` on directions and lengths, on coefficients of the support examples.

    A direction is ``v = X^T a + c u`` with ``u`` its start, a unit vector orthogonal to ``X``: the
    part that is left of it counts for the length of ``v`` and for no score.

    Args:
        gram: ``[B, S, S]`` inner products of the support examples.
        target: ``[B, S, way]`` one-hot labels.
        hyper: Settings.

    Returns:
        ``[B, S, way]`` coefficients of the classifier's weights, ``scale g v / |v|``.
    """
    generator = torch.Generator().manual_seed(0)
    a, c = torch.zeros_like(target), torch.full_like(target[:, :1], START)
    weights = [a, c, c.clone()]  # the last one is g
    velocities = [torch.zeros_like(w) for w in weights]
    g = weights[2]
    fresh = 1.0  # SGD does not dampen its first step
    for _ in range(hyper.head_epochs):
        order = torch.randperm(target.shape[1], generator=generator).to(target.device)
        for batch in torch.split(order, hyper.head_batch):
            products = gram @ a
            length = ((a * products).sum(1, keepdim=True) + c * c).sqrt()
            cosine = products[:, batch] / length
            error = (hyper.scale * g * cosine).softmax(-1) - target[:, batch]
            error = error * (hyper.scale / len(batch))
            steep = (error * cosine).sum(1, keepdim=True)  # by g
            along = g * steep / length.square()
            gradients = [-along * a, -along * c, steep]
            gradients[0].index_add_(1, batch, g / length * error)
            for w, v, gradient in zip(weights, velocities, gradients, strict=True):
                gradient.add_(w, alpha=hyper.head_weight_decay)
                v.mul_(hyper.head_momentum).add_(gradient, alpha=fresh)
                w.sub_(v, alpha=hyper.head_learning_rate)
            fresh = 1 - hyper.head_dampening
    length = ((a * (gram @ a)).sum(1, keepdim=True) + c * c).sqrt()
    return hyper.scale * g * a / length


def _unit(x: Tensor) -> Tensor:
    """Scale to length 1 as the released code does."""
    scaled: Tensor = x / (torch.linalg.vector_norm(x, dim=-1, keepdim=True) + TINY)
    return scaled
