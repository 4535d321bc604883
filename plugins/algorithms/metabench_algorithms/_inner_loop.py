"""Gradient descent on one episode's support set, as a function of the initial weights.

One episode at a time: on a CPU this beat ``torch.func.vmap``, whose convolutions become grouped
ones. Nothing here touches a module's own weights or buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from metabench.learners.contracts import Inputs

Weights = dict[str, Tensor]


@contextmanager
def gradients() -> Iterator[None]:
    """Record gradients even where evaluation has turned them, or autograd altogether, off."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        yield


def usable(x: Tensor) -> Tensor:
    """Copy a tensor made in inference mode, which autograd would refuse."""
    return x.clone() if x.is_inference() else x


@contextmanager
def batch_statistics(module: nn.Module) -> Iterator[None]:
    """Normalise by the statistics of the batch, whatever the mode (Finn et al., as released).

    Only batch norm is switched: dropout keeps the mode that ``train()`` or ``eval()`` set.
    """
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    modes = [m.training for m in norms]
    for norm in norms:
        norm.training = True
    try:
        yield
    finally:
        for norm, mode in zip(norms, modes, strict=True):
            norm.training = mode


def apply(module: nn.Module, weights: Weights, inputs: Inputs) -> Tensor:
    """Call a module with other weights; the running statistics that it updates are copies."""
    buffers = {name: usable(b).clone() for name, b in module.named_buffers()}
    with batch_statistics(module):
        return torch.as_tensor(functional_call(module, {**weights, **buffers}, (inputs,)))


def inner_loop(
    loss: Callable[[Weights], Tensor],
    weights: Mapping[str, Tensor],
    *,
    steps: int,
    rate: float,
    first_order: bool,
    differentiable: bool,
) -> Weights:
    """Descend ``loss`` from ``weights``.

    Args:
        loss: Support loss as a function of the weights.
        weights: The start. Those that need no gradient stay as they are.
        steps: Number of steps.
        rate: Step size.
        first_order: Take each inner gradient for a constant of the outer one.
        differentiable: Whether the result is a function of the start that can be differentiated.

    Returns:
        The adapted weights.
    """
    free = [name for name, w in weights.items() if w.requires_grad]
    current = dict(weights)
    with gradients():
        for _ in range(steps):
            steepest = torch.autograd.grad(
                loss(current),
                [current[name] for name in free],
                create_graph=differentiable and not first_order,
                allow_unused=True,
                materialize_grads=True,
            )
            for name, g in zip(free, steepest, strict=True):
                w = current[name] - rate * g
                current[name] = w if differentiable else w.detach().requires_grad_()
    return current if differentiable else {name: w.detach() for name, w in current.items()}
