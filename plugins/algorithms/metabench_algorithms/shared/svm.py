"""The multi-class support vector machine of Crammer & Singer, solved in its dual for a batch.

Crammer & Singer (2001), "On the algorithmic implementation of multiclass kernel-based vector
machines", JMLR 2. With ``c`` the cost and ``y_i`` the class of example ``i``, minimise::

    1/2 sum_m alpha_m' K alpha_m - sum_i alpha_i^{y_i}
    subject to  alpha_i^m <= c [m = y_i]  and  sum_m alpha_i^m = 0

by a primal-dual interior-point method with Mehrotra's predictor and corrector, as OptNet's solver
does (Amos & Kolter, 2017, arXiv:1703.00443). Given the multipliers of the sums, the Newton
equations fall apart into one system of size ``S`` for each class. The gradient is that of the
optimality conditions at the solution (OptNet, equations 6 to 8).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ITERATIONS = 40
CONVERGED = 1e-10
"""Complementarity and dual residual at the end, the kernel being scaled to a unit diagonal."""
TO_BOUNDARY = 0.99
JITTER = 1e-10
AT_ONCE = 2**22
"""Numbers in the inverses that are held at once: 32 MB."""


def crammer_singer(kernel: Tensor, member: Tensor, cost: float) -> Tensor:
    """Solve the dual of each episode; differentiable in the kernel.

    Args:
        kernel: ``[B, S, S]``, positive semi-definite. Where it is singular the solution need not
            be unique, only what it predicts.
        member: ``[B, S, way]`` one-hot labels.
        cost: The bound ``c``.

    Returns:
        ``[B, S, way]`` dual coefficients; a query's scores are its kernel values times these.
    """
    solution: Tensor = cast("Any", _CrammerSinger).apply(kernel, member, cost)
    return solution


class _CrammerSinger(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernel: Tensor, member: Tensor, cost: float) -> Tensor:
        size = max(1, AT_ONCE // (member[0].numel() * member.shape[1]))
        kernels = torch.split(kernel.detach().double(), size)
        members = torch.split(member.mT.double(), size)
        parts = [_solve(k, m, cost) for k, m in zip(kernels, members, strict=True)]
        alpha, barrier, unit = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        ctx.save_for_backward(kernel, alpha, barrier, unit)
        ctx.size = size
        return alpha.mT.to(kernel)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        kernel, alpha, barrier, unit = ctx.saved_tensors
        found = []
        tensors = (kernel, alpha, barrier, unit, gradient)
        for k, a, d, u, g in zip(*(torch.split(t, ctx.size) for t in tensors), strict=True):
            moved = _Newton(u * k.double(), d).solve(g.mT.double())
            product = moved.mT @ a
            found.append(-u / 2 * (product + product.mT))
        return torch.cat(found).to(kernel), None, None


class _Newton:
    """Solves ``(K + D_m) x_m + v = r_m`` for all classes ``m`` with ``sum_m x_m = 0``.

    Args:
        kernel: ``[B, S, S]``.
        barrier: ``[B, way, S]`` diagonals ``D_m``.
    """

    def __init__(self, kernel: Tensor, barrier: Tensor) -> None:
        jitter = JITTER * kernel.diagonal(dim1=-2, dim2=-1).mean(-1).clamp_min(JITTER)
        system = kernel.unsqueeze(1) + torch.diag_embed(barrier + jitter.view(-1, 1, 1))
        self.inverse = torch.cholesky_inverse(torch.linalg.cholesky_ex(system).L)
        self.total = torch.linalg.cholesky_ex(self.inverse.sum(1)).L

    def solve(self, right: Tensor) -> Tensor:
        """``[B, way, S]`` right-hand sides to solutions."""
        own = (self.inverse @ right.unsqueeze(-1)).squeeze(-1)
        shared = torch.cholesky_solve(own.sum(1).unsqueeze(-1), self.total)
        return own - (self.inverse @ shared.unsqueeze(1)).squeeze(-1)


def _solve(kernel: Tensor, member: Tensor, cost: float) -> tuple[Tensor, Tensor, Tensor]:
    """Dual coefficients ``[b, way, S]``, the barrier's curvature there, and the unit ``[b, 1, 1]``.

    In the unit ``u`` of the coefficients the kernel ``u K`` has a diagonal of at most 1.
    """
    scale = kernel.diagonal(dim1=-2, dim2=-1).mean(-1).view(-1, 1, 1)
    unit = cost / (cost * scale).clamp_min(1)
    kernel, bound = unit * kernel, cost / unit * member
    way = member.shape[1]
    x = 0.5 * (member - (1 - member) / (way - 1))
    slack = bound - x
    z = 1 / slack
    active = torch.ones_like(scale, dtype=torch.bool)
    for _ in range(ITERATIONS):
        gradient = x @ kernel - member + z
        residual = gradient - gradient.mean(1, keepdim=True)  # the rest is the sums' multiplier
        gap = (slack * z).mean((1, 2), keepdim=True)
        rounding = _largest(x).clamp_min(1)  # coefficients at a distant bound lose digits
        active = active & (torch.maximum(gap, _largest(residual) / rounding) > CONVERGED)
        if not active.any():
            break
        newton = _Newton(kernel, z / slack)
        dx = newton.solve(z - residual)
        dz = z / slack * dx - z
        length = _to_boundary(slack, -dx, z, dz)
        ahead = ((slack - length * dx) * (z + length * dz)).mean((1, 2), keepdim=True)
        target = (ahead / gap) ** 3 * gap + dx * dz
        dx = newton.solve(-residual - target / slack + z)
        dz = (target + z * dx) / slack - z
        length = TO_BOUNDARY * _to_boundary(slack, -dx, z, dz)
        active = active & _largest(dx).isfinite()
        step = torch.where(active, length, 0)
        x = torch.where(active, x + step * dx, x)
        z = torch.where(active, z + step * dz, z)
        slack = torch.where(active, slack - step * dx, slack)
    return unit * x, z / slack, unit


def _to_boundary(slack: Tensor, dslack: Tensor, z: Tensor, dz: Tensor) -> Tensor:
    """``[b, 1, 1]`` largest step, at most 1 / `TO_BOUNDARY`, that keeps both positive."""
    rate = torch.maximum(_largest(-dslack / slack, 0), _largest(-dz / z, 0))
    return 1 / rate.clamp_min(TO_BOUNDARY)


def _largest(x: Tensor, floor: float | None = None) -> Tensor:
    """Largest magnitude, or with ``floor`` largest value, of each ``[way, S]``."""
    return (x.abs() if floor is None else x).amax((1, 2), keepdim=True)
