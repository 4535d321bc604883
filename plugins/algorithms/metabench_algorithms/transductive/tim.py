"""TIM: transductive information maximisation, by its alternating-direction method."""

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
from metabench_algorithms.shared.linear import span


@dataclass(frozen=True, kw_only=True)
class TIMHyperparameters(Hyperparameters):
    """Settings of Boudiaf et al. (2020), the released code's.

    Attributes:
        temperature: Factor ``tau`` of half the squared distance.
        support_weight: ``lambda``, of the support's cross-entropy.
        conditional_weight: ``alpha``, of the queries' conditional entropy.
        marginal_weight: Of the entropy of the queries' mean prediction, which pulls towards equally
            many queries of each class. Set it to 0 where the queries need not be balanced.
        iterations: Alternating updates.
    """

    temperature: float = bounded(15.0, above=0)
    support_weight: float = bounded(0.1, least=0)
    conditional_weight: float = bounded(0.1, least=0)
    marginal_weight: float = bounded(1.0, least=0)
    iterations: int = 150


class TIM(Algorithm[Tensor]):
    """Class weights for which the queries' predictions are certain and evenly spread.

    Boudiaf, Ziko, Rony, Dolz, Piantanida & Ben Ayed (2020), "Transductive information maximization
    for few-shot learning", arXiv:2008.11297. Class probabilities are the softmax of
    ``-tau/2 ||f - w||^2`` on normalised embeddings; ``w`` starts at the class means. The objective
    adds the support's cross-entropy to the negative mutual information of queries and predictions.
    Here TIM-ADM: the closed-form updates of assignments and weights in turn (propositions 1, 2).

    The marginal entropy in it favours balanced queries; Veilleux et al. (2021), arXiv:2106.09516,
    show what it costs if they are not (``marginal_weight=0`` is without, `alpha-tim` milder).
    Weights are kept in coordinates of the span of all examples, which changes no result. A class
    without support starts at the origin. Without queries it is the nearest class mean. The updates
    need not converge: with a query or two per class they can swing between assignments, and then
    rounding decides which one the last iteration meets.
    """

    Hyperparameters = TIMHyperparameters

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Average each class: ``[B, Q, d] -> [B, Q, way]`` logits."""
        return self._predictor(class_means(Support(unit(support.x), support.y, support.way)))

    def adapt_transductive(self, support: Support[Tensor], query: Tensor) -> Predictor[Tensor]:
        """Alternate the updates: ``[B, Q, d] -> [B, Q, way]`` logits."""
        x, basis = span(unit(torch.cat([support.x, query], 1)))
        known = support.x.shape[1]
        target = one_hot(support.y, support.way, x.dtype)
        w = class_means(Support(x[:, :known], support.y, support.way))
        for _ in range(self.hyper.iterations):
            w = self._update(x, target, w)
        return self._predictor(w @ basis.mT)

    def _update(self, x: Tensor, target: Tensor, w: Tensor) -> Tensor:
        """One update of the assignments and of the weights ``[B, way, r]``."""
        hyper, known = self.hyper, target.shape[1]
        log_p = logits(x, w, hyper.temperature).log_softmax(-1)
        sharp = (1 + hyper.conditional_weight) * log_p[:, known:]
        balance = hyper.marginal_weight / (1 + hyper.marginal_weight)
        assigned = (sharp - balance * sharp.logsumexp(1, keepdim=True)).softmax(-1)
        weight = x.new_full((x.shape[1], 1), known / (x.shape[1] - known))
        weight[:known] = hyper.support_weight / (1 + hyper.conditional_weight)
        wanted = weight * torch.cat([target, assigned], 1)
        norm = wanted.sum(1).clamp_min(torch.finfo(w.dtype).tiny)
        return w + pull(wanted - weight * log_p.exp(), x, w) / norm.unsqueeze(-1)

    def _predictor(self, weights: Tensor) -> Predictor[Tensor]:
        def predict(query: Tensor) -> Tensor:
            return logits(unit(query), weights, self.hyper.temperature)

        return predict


def logits(x: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """``-tau/2 ||f - w||^2`` up to what all classes share, ``[B, n, way]``.

    Args:
        x: ``[B, n, d]`` normalised embeddings ``f``.
        weights: ``[B, way, d]``.
        temperature: ``tau``.
    """
    half = weights.square().sum(-1).unsqueeze(1) / 2
    return temperature * torch.baddbmm(half, x, weights.mT, beta=-1)


def pull(share: Tensor, x: Tensor, weights: Tensor) -> Tensor:
    """``sum_i share_ik (x_i - w_k)`` as ``[B, way, d]``, for ``[B, n, way]`` shares."""
    return torch.baddbmm(share.sum(1).unsqueeze(-1) * weights, share.mT, x, beta=-1)
