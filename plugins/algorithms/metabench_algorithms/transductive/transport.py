"""Entropic optimal transport of queries to classes, a batch of episodes at a time."""

from __future__ import annotations

import torch
from torch import Tensor

STEPS = 200
HALVINGS = 20
LARGEST = 4.0
"""Most that the logarithm of a class's factor changes in a step."""
CLOSE = 1e-6
RIDGE = 1e-9  # of the queries: keeps the step finite where every query has made up its mind


def log_plan(logits: Tensor, mass: Tensor) -> Tensor:
    """The plan to which Sinkhorn's algorithm converges (Cuturi, 2013, arXiv:1306.0895).

    Sinkhorn scales rows and columns in turn, hundreds of times if classes lie far apart. The plan
    is ``softmax(logits + v)`` for the ``v`` that maximises ``sum_k mass_k v_k - sum_i logsumexp_k
    (logits_ik + v_k)``, which is concave in as many unknowns as there are classes: a few Newton
    steps find it. An episode that is there stops by itself, so none depends on the others.

    Args:
        logits: ``[B, Q, way]`` negative costs over the weight of the entropy, in float64.
        mass: ``[B, way]`` positive number of queries of each class, with sum ``Q``.

    Returns:
        ``[B, Q, way]`` logarithms of the plan, whose rows sum to 1 and columns to ``mass``.
    """
    v = torch.zeros_like(mass)
    value = _dual(logits, mass, v)
    shift = logits.shape[1] / mass.shape[1]  # a constant added to v changes nothing
    ridge = RIDGE * logits.shape[1] * torch.eye(mass.shape[1], dtype=v.dtype, device=v.device)
    for _ in range(STEPS):
        p = (logits + v.unsqueeze(1)).softmax(-1)
        count = p.sum(1)
        slope = mass - count
        going = slope.abs().amax(-1) > CLOSE
        if not going.any():
            break
        step = torch.linalg.solve(count.diag_embed() - p.mT @ p + shift + ridge, slope)
        step = step * (LARGEST / step.abs().amax(-1, keepdim=True)).clamp_max(1)
        for _ in range(HALVINGS):
            new = _dual(logits, mass, v + step)
            worse = going & (new < value - 1e-12 * value.abs())
            if not worse.any():
                break
            step = torch.where(worse.unsqueeze(-1), step / 2, step)
        v = torch.where(going.unsqueeze(-1), v + step, v)
        value = torch.where(going, new, value)
    return (logits + v.unsqueeze(1)).log_softmax(-1)


def _dual(logits: Tensor, mass: Tensor, v: Tensor) -> Tensor:
    """``[B]`` values of what is maximised."""
    return (mass * v).sum(-1) - (logits + v.unsqueeze(1)).logsumexp(-1).sum(-1)
