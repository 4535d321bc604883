"""Batched Newton-CG for multinomial logistic regression.

Minimises ``sum_i CE(x_i W + b, y_i) + penalty / 2 ||W||^2`` over ``W [r, way]`` and ``b [way]`` for
each episode. The Newton equations are solved by conjugate gradients, whose step costs two products
with ``x [S, r]``; a direct solution would cost ``(r * way)^3``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

Point = tuple[Tensor, Tensor]

NEWTON_STEPS = 50
CG_STEPS = 30
HALVINGS = 12
CONVERGED = 1e-8  # of the first gradient
SOLVED = 1e-4  # of each right-hand side: a Newton step need not be exact


@torch.no_grad()
def fit_logistic(x: Tensor, target: Tensor, penalty: float) -> Point:
    """Fit all episodes; one that has converged is left alone, so none depends on its neighbours.

    Args:
        x: ``[B, S, r]`` centred support examples; float64, or the last steps drown in rounding.
        target: ``[B, S, way]`` one-hot labels.
        penalty: Of half the squared weights; the intercept is free.

    Returns:
        Weights ``W [B, r, way]`` and intercepts ``b [B, 1, way]``.
    """
    w, b = target.new_zeros(len(x), x.shape[2], target.shape[2]), torch.zeros_like(target[:, :1])
    value = _objective(x, target, penalty, (w, b))
    active = torch.ones_like(value, dtype=torch.bool)
    enough: Tensor | None = None
    for _ in range(NEWTON_STEPS):
        p = (x @ w + b).softmax(-1)
        error = _balanced(p - target)
        gradient = (x.mT @ error + penalty * w, error.sum(1, keepdim=True))
        squared = _dot(gradient, gradient)
        if enough is None:
            enough = CONVERGED**2 * squared
        active &= (squared > enough).flatten()
        if not active.any():
            break
        step = _solve(x, p, penalty, gradient)
        size = torch.ones_like(value)
        bound = value + 10 * torch.finfo(x.dtype).eps * value.abs()
        for _ in range(HALVINGS):
            t = size.view(-1, 1, 1)
            trial = (w + t * step[0], b + t * step[1])
            new = _objective(x, target, penalty, trial)
            worse = active & ~(new <= bound)
            if not worse.any():
                break
            size = torch.where(worse, size / 2, size)
        active &= new <= bound
        keep = active.view(-1, 1, 1)
        w, b = torch.where(keep, trial[0], w), torch.where(keep, trial[1], b)
        value = torch.where(active, new, value)
    return w, b


def _objective(x: Tensor, target: Tensor, penalty: float, at: Point) -> Tensor:
    """``[B]`` values at ``(W, b)``."""
    fit = -(F.log_softmax(x @ at[0] + at[1], -1) * target).sum((1, 2))
    return fit + penalty / 2 * at[0].square().sum((1, 2))


def _solve(x: Tensor, p: Tensor, penalty: float, gradient: Point) -> Point:
    """Solve ``H step = -gradient`` by conjugate gradients at probabilities ``p [B, S, way]``."""
    r, rb = -gradient[0], -gradient[1]
    w, b = torch.zeros_like(r), torch.zeros_like(rb)
    d, db = r, rb
    squared = _dot((r, rb), (r, rb))
    enough = SOLVED**2 * squared
    for _ in range(CG_STEPS):
        going = squared > enough
        if not going.any():
            break
        pv = p * (x @ d + db)
        curve = _balanced(pv - p * pv.sum(-1, keepdim=True))
        q, qb = x.mT @ curve + penalty * d, curve.sum(1, keepdim=True)
        rate = torch.where(going, squared / _dot((d, db), (q, qb)), 0)
        w, b = w + rate * d, b + rate * db
        r, rb = r - rate * q, rb - rate * qb
        previous, squared = squared, _dot((r, rb), (r, rb))
        turn = torch.where(going, squared / previous, 0)
        d, db = r + turn * d, rb + turn * db
    return _balanced(w), _balanced(b)


def _balanced(x: Tensor) -> Tensor:
    """Remove the mean over classes: along that flat direction there is only rounding."""
    return x - x.mean(-1, keepdim=True)


def _dot(left: Point, right: Point) -> Tensor:
    """Inner product as ``[B, 1, 1]``."""
    return ((left[0] * right[0]).sum((1, 2)) + (left[1] * right[1]).sum((1, 2))).view(-1, 1, 1)
