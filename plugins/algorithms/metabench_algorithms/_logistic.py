"""Batched Newton-CG for kernel logistic regression.

Minimises ``sum_i CE(K a + b, y)_i + penalty / 2 tr(a^T K a)`` over ``a [S, way]`` and ``b [way]``,
for each episode; the weights are ``X^T a``. Inner products are those of weight space, ``<u, K v>``.
The work per conjugate-gradient step is one product with ``K [S, S]``: independent of ``d``, where a
direct Newton step would solve ``S * way`` equations.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

Point = tuple[Tensor, Tensor]

NEWTON_STEPS = 50
CG_STEPS = 16
HALVINGS = 12


@torch.no_grad()
def fit_logistic(gram: Tensor, target: Tensor, penalty: float) -> Point:
    """Fit all episodes; one that has converged is left alone, so none depends on its neighbours.

    Args:
        gram: ``[B, S, S]`` inner products ``K`` of the centred support examples.
        target: ``[B, S, way]`` one-hot labels.
        penalty: Of half the squared weights; the intercept is free.

    Returns:
        Coefficients ``a [B, S, way]`` and intercepts ``b [B, 1, way]``.
    """
    a, b = torch.zeros_like(target), torch.zeros_like(target[:, :1])
    tolerance = 20 * torch.finfo(gram.dtype).eps * target.shape[1]
    value = _objective(target, penalty, gram @ a, (a, b))
    active = torch.ones_like(value, dtype=torch.bool)
    for _ in range(NEWTON_STEPS):
        ka = gram @ a
        p = (ka + b).softmax(-1)
        gradient = (p - target + penalty * a, (p - target).sum(1, keepdim=True))
        active &= _dot(gradient, (gram @ gradient[0], gradient[1])).flatten() > tolerance**2
        if not active.any():
            break
        step = _solve(gram, p, penalty, gradient)
        size = active.to(gram.dtype)
        kstep = gram @ step[0]
        for _ in range(HALVINGS):
            t = size.view(-1, 1, 1)
            trial = (a + t * step[0], b + t * step[1])
            new = _objective(target, penalty, ka + t * kstep, trial)
            if (worse := new > value).any():
                size = torch.where(worse, size / 2, size)
            else:
                break
        better = new < value
        keep = (better & active).view(-1, 1, 1)
        a, b = torch.where(keep, trial[0], a), torch.where(keep, trial[1], b)
        value = torch.where(better, new, value)
        active &= better
    return a, b


def _objective(target: Tensor, penalty: float, ka: Tensor, at: Point) -> Tensor:
    """``[B]`` values at ``(a, b)``, given ``ka = K a``."""
    fit = -(F.log_softmax(ka + at[1], -1) * target).sum((1, 2))
    return fit + penalty / 2 * (at[0] * ka).sum((1, 2))


def _solve(gram: Tensor, p: Tensor, penalty: float, gradient: Point) -> Point:
    """Solve ``H step = -gradient`` by conjugate gradients at probabilities ``p [B, S, way]``."""
    r, rb = -gradient[0], -gradient[1]
    kr = gram @ r
    x, xb = torch.zeros_like(r), torch.zeros_like(rb)
    d, db, kd = r, rb, kr
    squared = _dot((r, rb), (kr, rb))
    enough = torch.finfo(gram.dtype).eps * squared  # below it, directions are made of rounding
    for _ in range(CG_STEPS):
        going = squared > enough
        if not going.any():
            break
        pv = p * (kd + db)
        curve = pv - p * pv.sum(-1, keepdim=True)
        q, qb = curve + penalty * d, curve.sum(1, keepdim=True)
        kq = gram @ q
        rate = torch.where(going, squared / _dot((d, db), (kq, qb)), 0)
        x, xb = x + rate * d, xb + rate * db
        r, rb, kr = r - rate * q, rb - rate * qb, kr - rate * kq
        previous, squared = squared, _dot((r, rb), (kr, rb))
        turn = torch.where(going, squared / previous, 0)
        d, db, kd = r + turn * d, rb + turn * db, kr + turn * kd
    return x, xb


def _dot(left: Point, right: Point) -> Tensor:
    """Inner product of weight space as ``[B, 1, 1]``; ``right`` holds ``K v`` and its intercept."""
    sums = (left[0] * right[0]).sum((1, 2)) + (left[1] * right[1]).sum((1, 2))
    return sums.clamp_min(0).view(-1, 1, 1)

