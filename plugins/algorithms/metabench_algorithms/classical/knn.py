"""k-nearest neighbours by three measures of likeness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from metabench.errors import UsageError
from metabench.learners.contracts import (
    Algorithm,
    Hyperparameters,
    Predictor,
    Support,
    TaskSpec,
    bounded,
    one_hot,
)
from metabench_algorithms.shared.distance import DISTANCES, similarity

CANDIDATES = (4, 8, 16, 32, 64, 128)
TIED = 1e-9  # relative difference of two distances that are taken for equal
EQUALLY_GOOD = 1e-9  # difference of two leave-one-out scores that are taken for equal
AT_ONCE = 2**23  # numbers in one array of distances


@dataclass(frozen=True, kw_only=True)
class KNNHyperparameters(Hyperparameters):
    """Settings of the neighbourhood.

    The defaults follow the baseline of FS-Mol (Stanley et al., 2021), whose released code uses
    scikit-learn's uniform weights and Euclidean distance and picks ``n_neighbors`` among 4, 8, ...,
    128 below half the support size by 5-fold cross-validated accuracy.

    Attributes:
        k: Neighbours. 0 chooses per episode among FS-Mol's numbers, or among all below half the
            support size where that leaves none of FS-Mol's, by leave-one-out accuracy (squared
            error in regression); of equally good ones the smallest. Unlike folds, leaving one out
            needs no random choice.
        metric: ``euclidean``; ``cosine``, 1 - cosine; or ``tanimoto``, one minus the min-max form
            of Tanimoto's coefficient for counts, ``sum min(a, b) / sum max(a, b)`` (Ruzicka), which
            is the usual one on bits. It needs non-negative features.
        weights: ``uniform``, or ``similarity``: by 1 / distance for ``euclidean``, as with
            scikit-learn's ``distance``, and by the (non-negative) similarity for the others.
    """

    k: int = bounded(0, least=0)
    metric: Literal["euclidean", "cosine", "tanimoto"] = "euclidean"
    weights: Literal["uniform", "similarity"] = "uniform"


class KNN(Algorithm[Tensor]):
    """The mean target of the ``k`` nearest support examples.

    Fix & Hodges (1951), "Discriminatory analysis: nonparametric discrimination"; Cover & Hart
    (1967), "Nearest neighbor pattern classification". The score of a class is its share among the
    neighbours. Examples as far away as the ``k``-th share the places that are left, so the order of
    the support decides nothing. Without ties it equals scikit-learn's ``KNeighborsClassifier`` and
    ``KNeighborsRegressor``.
    """

    Hyperparameters = KNNHyperparameters

    def __init__(self, task: TaskSpec, hyper: KNNHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self._distance = DISTANCES[self.hyper.metric]

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Remember the support and choose ``k``: ``[B, Q, d] -> [B, Q, way]`` shares or values."""
        if self.task.kind == "regression":
            targets = support.y.double()
        else:
            targets = one_hot(support.y, support.way, torch.float64)
        x = support.x.double()
        if self.hyper.metric == "tanimoto" and bool((x < 0).any()):
            raise UsageError("knn with metric='tanimoto' needs features that are not negative")
        ks = self._choose(x, targets)

        def predict(query: Tensor) -> Tensor:
            size = max(1, AT_ONCE // (query.shape[1] * x.shape[1]))
            parts = [
                self._weigh(self._distance(q.double(), near), k) @ t
                for q, near, k, t in _some(size, query, x, ks, targets)
            ]
            return torch.cat(parts).to(query)

        return predict

    def _choose(self, x: Tensor, targets: Tensor) -> Tensor:
        """``[B]`` numbers of neighbours for ``[B, S, d]`` examples with ``[B, S, way]`` targets."""
        size = x.shape[1]
        if self.hyper.k:
            return torch.full((len(x),), min(self.hyper.k, size), device=x.device)
        candidates = [k for k in CANDIDATES if k < size // 2]
        candidates = candidates or list(range(1, max(2, (size + 1) // 2)))
        if len(candidates) == 1:
            return torch.full((len(x),), candidates[0], device=x.device)
        parts = _some(max(1, AT_ONCE // size**2), x, targets)
        scores = torch.cat([self._left_out(s, t, candidates) for s, t in parts])
        # The first of those that only rounding, and so the order of the examples, tells apart.
        good = scores >= scores.amax(-1, keepdim=True) - EQUALLY_GOOD
        return torch.tensor(candidates, device=x.device)[good.int().argmax(-1)]

    def _left_out(self, x: Tensor, targets: Tensor, candidates: list[int]) -> Tensor:
        """Leave-one-out scores of each number of neighbours, ``[B, len(candidates)]``.

        For classes the accuracy, ties sharing the credit; in regression the share of the variance
        that is explained, averaged over the outputs.
        """
        itself = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
        away = self._distance(x, x).masked_fill(itself, torch.inf)
        spread = targets.var(1, correction=0, keepdim=True)
        scores = []
        for k in candidates:
            predicted = self._weigh(away, torch.full((len(x),), k, device=x.device)) @ targets
            if self.task.kind == "regression":
                error = (predicted - targets).square() / torch.where(spread > 0, spread, 1)
                scores.append(1 - error.mean((1, 2)))
            else:
                top = predicted >= predicted.amax(-1, keepdim=True) - TIED
                scores.append(((top * targets).sum(-1) / top.sum(-1)).mean(-1))
        return torch.stack(scores, -1)

    def _weigh(self, away: Tensor, k: Tensor) -> Tensor:
        """Weights ``[B, Q, S]``, of sum 1, for distances ``[B, Q, S]`` and ``[B]`` neighbours."""
        last = (k - 1).view(-1, 1, 1).expand(-1, away.shape[1], 1)
        radius = away.sort(-1).values.gather(-1, last)
        slack = TIED * radius
        inside = away < radius - slack
        tied = ~inside & (away <= radius + slack)
        places = k.view(-1, 1, 1) - inside.sum(-1, keepdim=True)
        weights = inside + tied.to(away) * places / tied.sum(-1, keepdim=True)
        if self.hyper.weights == "similarity":
            # Where nothing is similar at all, the neighbours count alike.
            weighted = weights * similarity(away, self.hyper.metric)
            weights = torch.where(weighted.sum(-1, keepdim=True) > 0, weighted, weights)
        return weights / weights.sum(-1, keepdim=True)


def _some(size: int, *batched: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Go through tensors ``size`` episodes at a time."""
    return zip(*(torch.split(part, size) for part in batched), strict=True)
