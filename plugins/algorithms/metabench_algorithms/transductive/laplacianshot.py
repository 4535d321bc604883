"""LaplacianShot: neighbouring queries are encouraged to agree."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metabench.learners.contracts import Hyperparameters, Predictor, Support, bounded, class_means
from metabench_algorithms.metric.simpleshot import SimpleShot
from metabench_algorithms.shared.compare import negative_squared_distance
from metabench_algorithms.shared.distance import squared_euclidean
from metabench_algorithms.transductive.graph import answers, by_parts, nearest
from metabench_algorithms.transductive.rectify import rectify

RECTIFY_SCALE = 10.0


@dataclass(frozen=True, kw_only=True)
class LaplacianShotHyperparameters(Hyperparameters):
    """Settings of the released code of Ziko et al. (2020).

    Attributes:
        neighbours: Neighbours of a query in the graph. The code's ``knn=3`` counts the query
            itself, so 2 others.
        smoothness: Weight ``lambda`` of the Laplacian; the code's default. The paper chooses it on
            the meta-val split, among 0.1 to 1.5.
        iterations: Bound updates. The code also stops once the energy changes by less than a
            millionth, after which nothing moves.
        rectify: Rectify the prototypes first, as BD-CSPN does; off by default in the code.
    """

    neighbours: int = bounded(2, least=1)
    smoothness: float = bounded(1.0, least=0)
    iterations: int = 20
    rectify: bool = False


class LaplacianShot(SimpleShot):
    """SimpleShot with a Laplacian regulariser over the queries.

    Ziko, Dolz, Granger & Ben Ayed (2020), "Laplacian regularized few-shot learning",
    arXiv:2006.15486. On CL2N features, ``a_k(q) = ||q - m_k||^2`` is the distance to the class
    mean, and ``w(q, p) = 1`` if ``p`` is among the nearest queries of ``q``. Assignments start as
    ``softmax(-a)``, and the bound updates of algorithm 1 repeat
    ``y(q) = softmax(-a(q) + lambda sum_p w(q, p) y(p))``. Scores are the logits of the last one.

    No class prior is assumed. Queries that tie for the last place of a neighbourhood share it, so
    that their order is without effect. Without queries this is SimpleShot.
    """

    Hyperparameters = LaplacianShotHyperparameters

    def adapt_transductive(self, support: Support[Tensor], query: Tensor) -> Predictor[Tensor]:
        """Smooth the assignments: ``[B, Q, d] -> [B, Q, way]`` logits, for these queries only."""
        known = Support(self._transform(support.x), support.y, support.way)
        q = self._transform(query)
        if self.hyper.rectify:
            q = q + known.x.mean(1, keepdim=True) - q.mean(1, keepdim=True)
            centres = rectify(known, q, RECTIFY_SCALE)
        else:
            centres = class_means(known)
        unary = negative_squared_distance(q, centres)
        return answers(query, by_parts(self._smooth, q.shape[1] * sum(q.shape[1:]), q, unary))

    def _smooth(self, query: Tensor, unary: Tensor) -> Tensor:
        count = query.shape[1]
        wide = query.double()
        self_loops = torch.eye(count, dtype=torch.bool, device=query.device)
        distance = squared_euclidean(wide, wide).masked_fill(self_loops, torch.inf)
        graph = nearest(distance, min(self.hyper.neighbours, count - 1)).to(query.dtype)
        logits = unary
        for _ in range(self.hyper.iterations):
            logits = torch.baddbmm(unary, graph, logits.softmax(-1), alpha=self.hyper.smoothness)
        return logits
