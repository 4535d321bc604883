"""iMAML: the meta-gradient of a regularised inner optimum, without the path to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from metabench.learners.contracts import Inputs, Query, Support, bounded, task_loss
from metabench_algorithms.gradient.inner_loop import Weights
from metabench_algorithms.gradient.maml import MAML
from metabench_algorithms.gradient.settings import GradientHyperparameters

SOLVED = 1e-16
"""Residual, over the right-hand side, at which conjugate gradients stop (squared norms)."""


@dataclass(frozen=True, kw_only=True)
class IMAMLHyperparameters(GradientHyperparameters):
    """Settings of iMAML; the other defaults are those of Finn et al. (2017).

    Attributes:
        inner_steps: 16 on 5-way Omniglot (Rajeswaran et al., table 2); 25 on 20-way.
        test_steps: As many as in meta-training.
        strength: The regularisation ``lambda``, 2.0 on Omniglot; the released test has 0.
        cg_steps: Steps of conjugate gradients; 0 leaves first-order MAML.
    """

    inner_steps: int = 16
    test_steps: int = 16
    strength: float = bounded(2.0, above=0)
    cg_steps: int = 5


class IMAML(MAML):
    """MAML with a proximal inner problem and its implicit gradient.

    Rajeswaran, Finn, Kakade & Levine (2019), "Meta-learning with implicit gradients",
    arXiv:1909.04630. The inner problem is ``L_support(w) + lambda / 2 |w - theta|^2`` (section 2),
    here by gradient descent; the meta-gradient solves
    ``(I + Hessian of L_support / lambda) g = gradient of L_query`` at its solution (lemma 1) by
    conjugate gradients (algorithm 2), so memory does not grow with the steps. The released code
    regularises after the last step only and damps the Hessian; here are neither, and conjugate
    gradients stop at a direction of negative curvature.
    """

    Hyperparameters = IMAMLHyperparameters

    def _support_loss(self, support: Support[Inputs]) -> Callable[[Weights, int], Tensor]:
        plain = super()._support_loss(support)
        start = {name: w for name, w in self._shared().items() if w.requires_grad}

        strength: float = self.hyper.strength

        def loss(weights: Weights, step: int) -> Tensor:
            away = [(weights[name] - w).square().sum() for name, w in start.items()]
            return plain(weights, step) + strength / 2 * torch.stack(away).sum()

        return loss

    def _meta_gradient(
        self, support: Support[Inputs], query: Query[Inputs], share: float
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        with torch.no_grad():
            solved = self._adapt(support)
        free = [w.requires_grad_() for n, w in solved.items() if self._shared()[n].requires_grad]
        y = self.targets.encode(query.y)
        loss = share * task_loss(self._scores(solved, query.x, support.way), y)
        slopes = _flat(_gradients(loss, free))
        inner = _flat(_gradients(super()._support_loss(support)(solved, 0), free, create=True))

        strength: float = self.hyper.strength

        def regularised(v: Tensor) -> Tensor:
            return v + _flat(_gradients((inner * v).sum(), free)) / strength

        found = conjugate_gradients(regularised, slopes, self.hyper.cg_steps).sum(0)
        parts = torch.split(found, [w[0].numel() for w in free])
        return loss.detach(), tuple(p.view(w.shape[1:]) for p, w in zip(parts, free, strict=True))


def conjugate_gradients(product: Callable[[Tensor], Tensor], right: Tensor, steps: int) -> Tensor:
    """Solve ``A x = right`` for each row, from 0; a row without a step keeps ``right``.

    Args:
        product: ``[T, n]`` rows ``v`` to ``A v``, each row with a symmetric matrix of its own.
        right: ``[T, n]`` right-hand sides.
        steps: Most steps.

    Returns:
        ``[T, n]`` solutions, each as it was before curvature became negative.
    """
    found, residual, direction = torch.zeros_like(right), right, right
    squared = _dot(residual, residual)
    enough = SOLVED * squared
    going, moved = squared > 0, torch.zeros_like(squared, dtype=torch.bool)
    for _ in range(steps):
        image = product(direction)
        curvature = _dot(direction, image)
        going = going & (squared > enough) & (curvature > 0)
        moved = moved | going
        rate = torch.where(going, squared / curvature, 0)
        found, residual = found + rate * direction, residual - rate * image
        previous, squared = squared, _dot(residual, residual)
        direction = residual + torch.where(going, squared / previous, 0) * direction
    return torch.where(moved, found, right)


def _gradients(value: Tensor, at: list[Tensor], *, create: bool = False) -> tuple[Tensor, ...]:
    return torch.autograd.grad(
        value,
        at,
        retain_graph=True,
        create_graph=create,
        allow_unused=True,
        materialize_grads=True,
    )


def _flat(gradients: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([g.flatten(1) for g in gradients], 1)


def _dot(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(1, keepdim=True)
