"""Label propagation over the neighbour graph of support and queries."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from metabench.learners.contracts import (
    Algorithm,
    Hyperparameters,
    Predictor,
    Support,
    bounded,
    one_hot,
)
from metabench_algorithms.shared.compare import unit
from metabench_algorithms.shared.distance import squared_euclidean
from metabench_algorithms.transductive.graph import answers, by_parts, nearest

FAR = 1e6  # an exponent beyond which weights are nought


@dataclass(frozen=True, kw_only=True)
class LabelPropagationHyperparameters(Hyperparameters):
    """Settings of Liu et al. (2019), section 3.2 and released code.

    Attributes:
        spread: ``alpha``, the share of a label that comes from neighbours; 0.99 also in Zhou et al.
        neighbours: Of an example in the graph.
        scale_neighbour: The neighbour whose distance is an example's length scale; 7 as in
            Zelnik-Manor & Perona (2004), "Self-tuning spectral clustering", section 2.
        normalize: Scale embeddings to length 1.
        symmetric: Zhou et al.'s first form instead of their variant, see `LabelPropagation`.
    """

    spread: float = bounded(0.99, least=0, below=1)
    neighbours: int = bounded(20, least=1)
    scale_neighbour: int = bounded(7, least=1)
    normalize: bool = True
    symmetric: bool = False


class LabelPropagation(Algorithm[Tensor]):
    """Labels that spread from the support along a graph.

    Zhou, Bousquet, Lal, Weston & Schoelkopf (2004), "Learning with local and global consistency",
    NIPS 16: ``F = (I - alpha S)^-1 Y`` with ``S = D^-1/2 W D^-1/2``, zero diagonal, or their
    variant ``F = (I - alpha P^T)^-1 Y`` with ``P = D^-1 W``. Here the variant: the same but for
    ``D^-1/2 Y``, up to a factor of each query. Without it, with alpha near 1, a class gains by the
    degree of its labelled examples more than by their neighbourhood, wherever classes overlap.
    Few-shot, transductive: Liu et al. (2019), "Learning to propagate labels", arXiv:1805.10002,
    who join every example of support and queries to its nearest (either way round) with
    ``W = exp(-d^2 / ...)`` on a scale per example. Theirs comes from a meta-learned network; this
    is the classical method on supervised embeddings, with ``d^2 / (s_i s_j)`` and ``s`` the
    distance to a near neighbour. Scores are ``log F``.

    No class prior is assumed. Queries that no label reaches get equal scores. Without the other
    queries a query takes the labels of the support by one step, ``W Y``.
    """

    Hyperparameters = LabelPropagationHyperparameters

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Keep the support: ``[B, Q, d] -> [B, Q, way]`` log-weights."""
        x = self._transform(support.x)
        label = one_hot(support.y, support.way, x.dtype)
        scale = self._scale(_without_self(squared_euclidean(x, x)), x.shape[1] - 1)

        def predict(query: Tensor) -> Tensor:
            squares = squared_euclidean(self._transform(query), x)
            exponent = _exponent(squares, self._scale(squares, x.shape[1]), scale)
            weight = (exponent.amin(-1, keepdim=True) - exponent).exp()
            return _log(weight @ label).to(query.dtype)

        return predict

    def adapt_transductive(self, support: Support[Tensor], query: Tensor) -> Predictor[Tensor]:
        """Propagate: ``[B, Q, d] -> [B, Q, way]`` log-weights, for these queries only."""
        everyone = torch.cat([support.x, query], 1)
        label = one_hot(support.y, support.way, torch.float64)
        size = everyone.shape[1] * sum(everyone.shape[1:])
        return answers(query, by_parts(self._propagate, size, everyone, label).to(query.dtype))

    def _transform(self, x: Tensor) -> Tensor:
        x = x.double()
        return unit(x) if self.hyper.normalize else x

    def _scale(self, squares: Tensor, others: int) -> Tensor:
        """``[B, n, 1]`` distance of each row to a near one of its ``others``; 1 if it has none."""
        if not others:
            return torch.ones_like(squares[..., :1])
        rank = min(self.hyper.scale_neighbour, others)
        return squares.topk(rank, largest=False).values[..., -1:].sqrt()

    def _propagate(self, x: Tensor, label: Tensor) -> Tensor:
        x, count = self._transform(x), x.shape[1]
        squares = _without_self(squared_euclidean(x, x))
        scale = self._scale(squares, count - 1)
        joined = nearest(squares, min(self.hyper.neighbours, count - 1)) > 0
        weight = (-_exponent(squares, scale, scale)).exp() * (joined | joined.mT)
        root = weight.sum(-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny).rsqrt()
        system = torch.eye(count, dtype=x.dtype, device=x.device)
        system = system - self.hyper.spread * root * weight * root.mT
        if not self.hyper.symmetric:
            label = label * root[:, : label.shape[1]]
        start = F.pad(label, (0, 0, 0, count - label.shape[1]))
        # Symmetric, and positive definite because the eigenvalues of S are at most 1.
        spread = torch.cholesky_solve(start, torch.linalg.cholesky(system))
        return _log(spread[:, label.shape[1] :])


def _without_self(squares: Tensor) -> Tensor:
    loops = torch.eye(squares.shape[1], dtype=torch.bool, device=squares.device)
    return squares.masked_fill(loops, torch.inf)


def _exponent(squares: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """``d^2 / (s_i s_j)``, 0 between equal points."""
    scale = row * column.mT
    return (squares / scale.clamp_min(torch.finfo(scale.dtype).tiny)).clamp_max(FAR)


def _log(weight: Tensor) -> Tensor:
    return weight.clamp_min(torch.finfo(torch.float32).tiny).log()
