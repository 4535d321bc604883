"""Mahalanobis distances to class means under regularised class covariances.

Bateni, Goyal, Masrani, Wood & Sigal (2020), "Improved few-shot visual classification",
arXiv:1912.03432: ``d_k(q) = (q - mu_k)' Q_k^-1 (q - mu_k)`` with

    Q_k = lambda_k Sigma_k + (1 - lambda_k) Sigma + beta I,    lambda_k = n_k / (n_k + 1),

where ``Sigma_k`` is the covariance of the class and ``Sigma`` that of the whole support set. Their
factor 1/2 of the distance is left out, as in the released code.

With the centred support ``X [S, d]``, ``Q_k = beta I + X' (a I + b P) X`` for the projection ``P``
that takes the class mean off. By the Woodbury identity only systems of ``S`` inner products are
solved, whatever ``d`` is; float64 bears the cancellation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metabench.learners.contracts import Predictor, Support, one_hot

ELEMENTS = 2**20
"""Most numbers in the matrices of the episodes that are solved together."""


def mahalanobis(support: Support[Tensor], *, most_own: float, ridge: float) -> Predictor[Tensor]:
    """Return the scorer ``[B, Q, d] -> [B, Q, way]`` of negative squared distances.

    A class with one example has no covariance of its own, one without any lies at the mean of all.

    Args:
        support: Labelled support examples.
        most_own: Largest weight ``lambda`` of a class's own covariance.
        ridge: ``beta``.
    """
    size = max(1, ELEMENTS // (support.way * support.y.shape[1] ** 2))
    fits = [
        _fit(x.double(), one_hot(y, support.way, torch.float64), most_own, ridge)
        for x, y in zip(torch.split(support.x, size), torch.split(support.y, size), strict=True)
    ]

    def predict(query: Tensor) -> Tensor:
        parts = zip(fits, torch.split(query, size), strict=True)
        return torch.cat([fit(part.double()) for fit, part in parts]).to(query)

    return predict


def _fit(x: Tensor, member: Tensor, most_own: float, ridge: float) -> Predictor[Tensor]:
    """Factorise one system per class for ``[B, S, d]`` examples of ``[B, S, way]`` membership."""
    shots = member.sum(1)
    origin = x.mean(1, keepdim=True)
    x = x - origin
    gram = x @ x.mT
    averages = (member / shots.clamp_min(1).unsqueeze(1)).mT
    own = (shots / (shots + 1)).clamp_max(most_own)
    of_all = (1 - own) / max(x.shape[1] - 1, 1)
    of_class = own / (shots - 1).clamp_min(1)
    off_mean = member.mT.diag_embed() - averages.unsqueeze(-1) * member.mT.unsqueeze(-2)
    eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    root = of_all.sqrt()[..., None, None] * eye
    root = root + ((of_all + of_class).sqrt() - of_all.sqrt())[..., None, None] * off_mean
    system = root @ gram.unsqueeze(1) @ root + ridge * eye
    factor = torch.linalg.cholesky(system)
    means = averages @ gram  # inner products of the class means with the examples
    lengths = (means * averages).sum(-1).unsqueeze(1)

    def predict(query: Tensor) -> Tensor:
        query = query - origin
        inner = query @ x.mT
        squares = query.square().sum(-1, keepdim=True) - 2 * inner @ averages.mT + lengths
        away = inner.unsqueeze(1) - means.unsqueeze(2)
        explained = torch.linalg.solve_triangular(factor, root @ away.mT, upper=False)
        scores: Tensor = (explained.square().sum(2).mT - squares) / ridge
        return scores

    return predict
