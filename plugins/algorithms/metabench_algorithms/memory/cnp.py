"""Conditional neural processes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

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
from metabench_algorithms.shared.targets import TargetScale

LEAST_DEVIATION = 0.1


@dataclass(frozen=True, kw_only=True)
class CNPHyperparameters(Hyperparameters):
    """Settings of the networks, from the released notebook of Garnelo et al. (2018).

    It trains with Adam at 1e-4 for 200,000 steps of 64 curves; budgets here are smaller, so the
    rate and the meta-batch are the loop's, 1e-3 and 1.

    Attributes:
        hidden: Width of the layers and of the representation (128).
        encoder_layers: Layers of the network that reads a support example (4).
        decoder_layers: Layers of the network that predicts a query (3).
    """

    hidden: int = bounded(128, least=1)
    encoder_layers: int = bounded(4, least=1)
    decoder_layers: int = bounded(3, least=2)


class CNP(Algorithm[Tensor]):
    """A network that predicts each query from the mean representation of the support set.

    Garnelo, Rosenbaum, Maddison, Ramalho, Saxton, Shanahan, Teh, Rezende & Eslami (2018),
    "Conditional neural processes", arXiv:1807.01613, equations 1 to 3.

    Regression: ``r`` is the mean over the support of ``h(x, y)``, and ``g(x*, r)`` gives mean and
    deviation of a Gaussian for each output; the deviation is ``0.1 + 0.9 softplus(.)``, as in the
    released notebook, in units of the meta-train targets seen so far. Meta-training minimises the
    negative log-likelihood of the queries (equation 4); predictions are the means.

    Classes: as in the paper's section 4.3, representations are averaged class by class. There they
    are concatenated, which fixes the number and the order of classes; here ``g`` scores each class
    from the query, its representation and the mean of all classes' representations, so relabelling
    permutes the scores and any way will do.
    """

    Hyperparameters = CNPHyperparameters

    def __init__(self, task: TaskSpec, hyper: CNPHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        hidden = self.hyper.hidden
        self._regression = task.kind == "regression"
        outputs = task.way if self._regression else 0
        self.encoder = layers([task.width + outputs] + [hidden] * self.hyper.encoder_layers)
        self.from_query = nn.Linear(task.width, hidden)
        self.from_support = nn.Linear(
            hidden if self._regression else 2 * hidden, hidden, bias=False
        )
        self.decoder = nn.Sequential(
            nn.ReLU(),
            layers([hidden] * (self.hyper.decoder_layers - 1) + [2 * outputs or 1]),
        )
        self.targets = TargetScale(task)

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Average the representations: ``[B, Q, d] -> [B, Q, way]`` logits or means."""
        if not self._regression:
            return self._classify(support)
        gaussian = self._condition(support)

        def predict(query: Tensor) -> Tensor:
            mean, _ = gaussian(query)
            return self.targets.decode(mean)

        return predict

    def loss(self, support: Support[Tensor], query: Query[Tensor]) -> Tensor:
        """Negative log-likelihood of the queries, per query and output, in standard units."""
        if not self._regression:
            return super().loss(support, query)
        self.targets.update(support.y, query.y)
        mean, deviation = self._condition(support)(query.x)
        error = (self.targets.encode(query.y) - mean) / deviation
        terms: Tensor = 0.5 * error.square() + deviation.log() + 0.5 * math.log(2 * math.pi)
        return terms.mean()

    def _condition(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Queries to means and deviations in standard units, as ``[2, B, Q, k]``."""
        pairs = torch.cat([support.x, self.targets.encode(support.y).to(support.x)], -1)
        seen = self.from_support(self.encoder(pairs).mean(1, keepdim=True))

        def predict(query: Tensor) -> Tensor:
            mean, raw = self.decoder(self.from_query(query) + seen).chunk(2, -1)
            deviation = LEAST_DEVIATION + (1 - LEAST_DEVIATION) * F.softplus(raw)
            return torch.stack([mean, deviation])

        return predict

    def _classify(self, support: Support[Tensor]) -> Predictor[Tensor]:
        own = class_means(Support(self.encoder(support.x), support.y, support.way))
        present = one_hot(support.y, support.way, own.dtype).amax(1).unsqueeze(-1)
        everyone = (own * present).sum(1, keepdim=True) / present.sum(1, keepdim=True)
        seen = self.from_support(torch.cat([own, everyone.expand_as(own)], -1))

        def predict(query: Tensor) -> Tensor:
            joined = self.from_query(query).unsqueeze(2) + seen.unsqueeze(1)
            return torch.as_tensor(self.decoder(joined)).squeeze(-1)

        return predict


def layers(sizes: list[int]) -> nn.Sequential:
    """Linear layers of the given widths with ReLU between them."""
    linear = [nn.Linear(i, o) for i, o in pairwise(sizes)]
    return nn.Sequential(*[m for layer in linear for m in (layer, nn.ReLU())][:-1])
