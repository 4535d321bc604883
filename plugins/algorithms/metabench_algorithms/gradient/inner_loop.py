"""Gradient descent on support sets, one copy of the weights per episode.

Weights carry a leading axis of ``T`` episodes. An encoder that has a method ``forward_copies``
embeds all copies at once (see `embed_copies`); any other is called once per copy, which on a CPU
beat ``torch.func.vmap`` with its grouped convolutions. Nothing here touches a module's own weights
or buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from metabench.learners.contracts import Encoder, Inputs

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


def norm_weights(module: nn.Module) -> set[str]:
    """Names of the scales and shifts of batch norm."""
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, part in module.named_modules()
        if isinstance(part, _BatchNorm)
        for name, _ in part.named_parameters(recurse=False)
    }


def can_embed_copies(encoder: Encoder) -> bool:
    """Whether the encoder embeds many copies of itself at once."""
    return hasattr(encoder, "forward_copies")


def embed_copies(encoder: Encoder, weights: Mapping[str, Tensor], inputs: Inputs) -> Tensor:
    """Embed each episode's examples with its own copy of the encoder's weights.

    An encoder may do this itself, faster, in ``forward_copies(weights, inputs)``, with arguments
    and result as here; it then has to normalise each copy by the statistics of its own batch.

    Args:
        encoder: Gives the structure and the buffers; it is left unchanged.
        weights: By parameter name, ``[T, *shape]``.
        inputs: Prepared inputs, each ``[T, n, ...]``.

    Returns:
        ``[T, n, d]`` embeddings.
    """
    if can_embed_copies(encoder):
        embed = cast("Callable[[Mapping[str, Tensor], Inputs], Tensor]", encoder.forward_copies)
        return embed(weights, inputs)
    copies = len(next(iter(inputs.values())))
    embedded = []
    with batch_statistics(encoder):
        for i in range(copies):
            # Batch norm updates running statistics: let it update a copy.
            state = {name: usable(b).clone() for name, b in encoder.named_buffers()}
            state.update((name, w[i]) for name, w in weights.items())
            batch = {name: x[i] for name, x in inputs.items()}
            embedded.append(functional_call(encoder, state, (batch,)))
    return torch.stack(embedded)


def descend(
    loss: Callable[[Weights, int], Tensor],
    start: Callable[[], Weights],
    *,
    steps: int,
    rate: Callable[[str, int], Tensor | float],
    adapts: Callable[[str], bool],
    first_order: bool,
    differentiable: bool,
) -> Iterator[Weights]:
    """Descend ``loss`` in copies of the weights.

    Args:
        loss: The sum over the copies of each one's support loss, given the number of the step.
        start: Gives the start, each ``[T, *shape]``; called with gradients on.
        steps: Number of steps.
        rate: Step size of a weight, by name, in a step.
        adapts: Whether a weight, by name, is to be changed. One that needs no gradient never is.
        first_order: Take each inner gradient for a constant of the outer one.
        differentiable: Whether the results are functions of the start that can be differentiated.

    Yields:
        The start, then the weights after each step.
    """
    with gradients():
        current = start()
    free = [name for name, w in current.items() if w.requires_grad and adapts(name)]
    yield current
    for step in range(steps):
        with gradients():  # never across a yield: the mode belongs to the thread
            steepest = torch.autograd.grad(
                loss(current, step),
                [current[name] for name in free],
                create_graph=differentiable and not first_order,
                allow_unused=True,
                materialize_grads=True,
            )
            changed = dict(current)
            for name, g in zip(free, steepest, strict=True):
                w = current[name] - rate(name, step) * g
                changed[name] = w if differentiable else w.detach().requires_grad_()
            current = changed
        yield current
