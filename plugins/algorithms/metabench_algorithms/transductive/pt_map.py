"""PT-MAP: power transform and maximum a posteriori class centres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from metabench.learners.contracts import (
    Algorithm,
    Hyperparameters,
    Predictor,
    Support,
    class_means,
    one_hot,
)
from metabench_algorithms.shared.compare import negative_squared_distance, unit
from metabench_algorithms.shared.linear import span
from metabench_algorithms.transductive.graph import answers
from metabench_algorithms.transductive.tim import logits
from metabench_algorithms.transductive.transport import log_plan

OFFSET = 1e-6  # added to features before the power, as in the released code


@dataclass(frozen=True, kw_only=True)
class PTMAPHyperparameters(Hyperparameters):
    """Settings of Hu et al. (2021), the released code's.

    Attributes:
        power: ``beta`` of the power transform.
        sharpness: ``lambda`` of the transport, inverse weight of its entropy.
        rate: ``alpha``, the step from a centre to its new estimate.
        iterations: Estimates of the centres.
        prior: How many queries each class is taken to have: ``balanced``, equally many, as in the
            paper; ``support``, in proportion to its shots plus one; ``none``, no constraint, which
            makes each step a soft k-means.
    """

    power: float = 0.5
    sharpness: float = 10.0
    rate: float = 0.2
    iterations: int = 20
    prior: Literal["balanced", "support", "none"] = "balanced"


class PTMAP(Algorithm[Tensor]):
    """Class centres to which the queries are transported in fixed shares.

    Hu, Gripon & Pateux (2021), "Leveraging the feature distribution in transfer-based few-shot
    learning", arXiv:2006.03806. Features go to the power ``beta`` and are scaled to length 1;
    then, as in the released code, support and queries are each centred by their own mean and scaled
    again. Algorithm 1: queries are assigned to class centres by entropic optimal transport at
    squared distances (equation 3), and centres move towards the mean of their support and their
    share of the queries (equation 6). Scores are the logarithms of the last assignment.
    As in the released code, all this happens in coordinates of the span of the examples.

    The transport gives every class equally many queries; Veilleux et al. (2021), arXiv:2106.09516,
    show that it loses most of all methods if they are not: see ``prior``. The paper's encoders end
    in a ReLU; of a negative feature the magnitude is transformed and the sign kept. Without queries
    it is the nearest class mean of transformed, uncentred features.
    """

    Hyperparameters = PTMAPHyperparameters

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Average each class: ``[B, Q, d] -> [B, Q, way]`` negative squared distances, scaled."""
        centres = class_means(Support(self._power(support.x), support.y, support.way))

        def predict(query: Tensor) -> Tensor:
            distance = negative_squared_distance(self._power(query), centres)
            scores: Tensor = self.hyper.sharpness * distance
            return scores

        return predict

    def adapt_transductive(self, support: Support[Tensor], query: Tensor) -> Predictor[Tensor]:
        """Iterate: ``[B, Q, d] -> [B, Q, way]`` log-probabilities, for these queries only."""
        known = support.x.shape[1]
        transformed = [_centred(self._power(x)) for x in (support.x, query)]
        x, q = torch.split(span(torch.cat(transformed, 1))[0], [known, query.shape[1]], 1)
        target = one_hot(support.y, support.way, x.dtype)
        shots = target.sum(1)
        mass = self._mass(shots, q.shape[1])
        centres = class_means(Support(x, support.y, support.way))
        total = target.mT @ x
        for _ in range(self.hyper.iterations):
            p = self._assign(q, centres, mass).exp().to(x.dtype)
            count = (shots + p.sum(1)).unsqueeze(-1)
            estimate = (total + p.mT @ q) / count.clamp_min(torch.finfo(x.dtype).tiny)
            centres = centres + self.hyper.rate * (estimate - centres)
        return answers(query, self._assign(q, centres, mass).to(x.dtype))

    def _power(self, x: Tensor) -> Tensor:
        raised = (x.abs() + OFFSET) ** self.hyper.power
        return unit(torch.where(x < 0, -raised, raised))

    def _mass(self, shots: Tensor, queries: int) -> Tensor:
        """``[B, way]`` queries of each class under the prior."""
        counts = shots.double() + 1 if self.hyper.prior == "support" else torch.ones_like(shots)
        return queries * counts.double() / counts.sum(-1, keepdim=True)

    def _assign(self, query: Tensor, centres: Tensor, mass: Tensor) -> Tensor:
        """``[B, Q, way]`` log-probabilities."""
        negative_cost = logits(query, centres, 2 * self.hyper.sharpness).double()
        if self.hyper.prior == "none":
            return negative_cost.log_softmax(-1)
        return log_plan(negative_cost, mass)


def _centred(x: Tensor) -> Tensor:
    return unit(x - x.mean(1, keepdim=True))
