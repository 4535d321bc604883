"""alpha-TIM: information maximisation by alpha-divergences."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metabench.learners.contracts import (
    Algorithm,
    Hyperparameters,
    Predictor,
    Support,
    bounded,
    class_means,
    one_hot,
)
from metabench_algorithms.shared.compare import unit
from metabench_algorithms.transductive.tim import logits, pull

ONE_SHOT, FIVE_SHOT = 1, 5
BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam


@dataclass(frozen=True, kw_only=True)
class AlphaTIMHyperparameters(Hyperparameters):
    """Settings of the released code of Veilleux et al. (2021), for unbalanced queries.

    Attributes:
        alpha: Order of the entropies; ``None`` is the code's rule: 2 in 1-shot tasks, 7 from 5
            shots on, 5 between.
        temperature: Factor ``tau`` of half the squared distance.
        support_weight: Of the support's cross-entropy.
        conditional_weight: Of the queries' conditional alpha-entropy.
        marginal_weight: Of the alpha-entropy of the mean prediction, which favours balanced
            queries, the less so the larger alpha; 0 is without.
        iterations: Steps of Adam.
        step: Their size.
    """

    alpha: float | None = bounded(None, above=1)
    temperature: float = 15.0
    support_weight: float = 1.0
    conditional_weight: float = 1.0
    marginal_weight: float = 1.0
    iterations: int = 1000
    step: float = 1e-4


class AlphaTIM(Algorithm[Tensor]):
    """TIM that does not insist on balanced queries.

    Veilleux, Boudiaf, Piantanida & Ben Ayed (2021), "Realistic evaluation of transductive few-shot
    learning", arXiv:2106.09516. Both entropies of TIM's mutual information become
    Tsallis entropies ``(1 - sum_k p_k^alpha) / (alpha - 1)``, whose gradient spares classes with
    few queries; the support's cross-entropy stays Shannon's, as in the released code. Class weights
    start at the means of normalised embeddings and follow Adam on ``cross-entropy - marginal +
    conditional``. Without queries it is the nearest class mean, as TIM.
    """

    Hyperparameters = AlphaTIMHyperparameters

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Average each class: ``[B, Q, d] -> [B, Q, way]`` logits."""
        return self._predictor(class_means(Support(unit(support.x), support.y, support.way)))

    def adapt_transductive(self, support: Support[Tensor], query: Tensor) -> Predictor[Tensor]:
        """Descend to better weights: ``[B, Q, d] -> [B, Q, way]`` logits."""
        x = unit(torch.cat([support.x, query], 1))
        target = one_hot(support.y, support.way, x.dtype)
        w = class_means(Support(x[:, : target.shape[1]], support.y, support.way))
        first, second = torch.zeros_like(w), torch.zeros_like(w)
        for number in range(1, self.hyper.iterations + 1):
            slope = self.gradient(x, target, w)
            first.lerp_(slope, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(slope, slope, value=1 - BETAS[1])
            size = (second / (1 - BETAS[1] ** number)).sqrt_().add_(EPSILON)
            w = torch.addcdiv(w, first, size, value=-self.hyper.step / (1 - BETAS[0] ** number))
        return self._predictor(w)

    def gradient(self, x: Tensor, target: Tensor, w: Tensor) -> Tensor:
        """Gradient of the objective at weights ``w [B, way, d]``, which needs no autograd.

        Args:
            x: ``[B, S + Q, d]`` normalised embeddings, the support first.
            target: ``[B, S, way]`` one-hot labels of the support.
            w: Where.
        """
        hyper, alpha = self.hyper, self._order(target)
        known, asked = torch.split(
            logits(x, w, hyper.temperature).softmax(-1),
            [target.shape[1], x.shape[1] - target.shape[1]],
            1,
        )
        marginal = hyper.marginal_weight * asked.mean(1, keepdim=True) ** (alpha - 1)
        by_p = marginal - hyper.conditional_weight * asked ** (alpha - 1)
        by_p = by_p * (alpha / (alpha - 1) / asked.shape[1])
        by_query = asked * (by_p - (asked * by_p).sum(-1, keepdim=True))
        by_support = hyper.support_weight / target.shape[1] * (known - target)
        slope: Tensor = hyper.temperature * pull(torch.cat([by_support, by_query], 1), x, w)
        return slope

    def _order(self, target: Tensor) -> float:
        """Alpha for ``[B, S, way]`` one-hot labels."""
        if self.hyper.alpha is not None:
            return float(self.hyper.alpha)
        shots = target.shape[1] / target.shape[2]
        if shots <= ONE_SHOT:
            return 2.0
        return 7.0 if shots >= FIVE_SHOT else 5.0

    def _predictor(self, weights: Tensor) -> Predictor[Tensor]:
        def predict(query: Tensor) -> Tensor:
            return logits(unit(query), weights, self.hyper.temperature)

        return predict
