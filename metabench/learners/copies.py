"""Many copies of a convolutional encoder, each with its own weights, as one network.

Gradient-based learners adapt one copy of the encoder per episode and differentiate through its
gradients. Three things make that faster on a CPU than a loop over the copies, with the same result
(``benchmarks/speed.py`` measures it):

1. Copy ``t`` owns the channels ``t*C .. t*C + C - 1``: convolutions are grouped, and batch norm,
   ReLU and pooling are the ordinary operations, so there are fewer and larger calls.
2. The first block, whose one or three input channels leave a convolution kernel idle, is a matrix
   product over 3 x 3 patches with its batch norm folded into the weights: the moments of a linear
   map are ``w' S w`` with ``S`` the covariance of the patches, a constant of the episode.
3. Convolution and pooling are closed under differentiation and stay channels-last: their second
   derivatives in torch fall back to slow layouts.

On an accelerator, where a step waits for the launch of its kernels and a grouped convolution is
hundreds of them, each convolution is a matrix product over 3 x 3 patches instead, unless these are
so many that the arithmetic takes the time, and the memory.

Everything runs in float32 or float64: under bf16 the meta-gradient of a second-order learner was
seen to point elsewhere (cosine 0.17 to float32 at an inner rate of 0.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

EPS = 1e-5
KERNEL = 3
LARGEST_PATCHES = 2**29
"""Numbers in the patches of one convolution as a product: 2 GiB in float32."""


def convolve_copies(weights: Mapping[str, Tensor], images: Tensor, blocks: int) -> Tensor:
    """Apply to each episode's images its own copy of some convolutional blocks.

    A block is a 3 x 3 convolution, batch norm, 2 x 2 max-pooling and ReLU; a map that is one pixel
    high or wide is not pooled any more. Batch norm uses the statistics of each copy's own batch.
    The convolutions' biases have no say, since batch norm cancels them.

    Args:
        weights: ``convolutions.<b>.weight``, ``norms.<b>.weight`` and ``norms.<b>.bias`` of each
            block, ``[T, *shape]``.
        images: ``[T, n, channels, height, width]``, floating point.
        blocks: Number of blocks.

    Returns:
        ``[n, T, C, h, w]`` maps.
    """
    copies = len(images)
    accelerated = images.device.type != "cpu"
    with torch.autocast(images.device.type, enabled=False):
        x = _first_block(
            images,
            weights["convolutions.0.weight"],
            weights["norms.0.weight"],
            weights["norms.0.bias"],
        )
        for block in range(1, blocks):
            kernel = weights[f"convolutions.{block}.weight"].flatten(0, 1)
            small = x.numel() * KERNEL**2 <= LARGEST_PATCHES
            convolve = convolve_as_product if accelerated and small else convolve_in_groups
            x = convolve(x, kernel, copies)
            gamma = weights[f"norms.{block}.weight"].flatten()
            beta = weights[f"norms.{block}.bias"].flatten()
            x = F.batch_norm(x, None, None, gamma, beta, training=True, eps=EPS)
            x = F.relu(_pool(x))
    maps: Tensor = x.unflatten(1, (copies, -1))
    return maps


def convolve_in_groups(x: Tensor, kernel: Tensor, copies: int) -> Tensor:
    """Convolve each copy's channels: ``[n, T*C, h, w]`` to ``[n, T*D, h, w]``.

    Args:
        x: Maps of all copies.
        kernel: ``[T*D, C, 3, 3]``.
        copies: ``T``.
    """
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    convolved: Tensor = _Convolution.apply(x, kernel, copies)
    return convolved


def convolve_as_product(x: Tensor, kernel: Tensor, copies: int) -> Tensor:
    """Do the same as one batched matrix product over patches."""
    count, _, height, width = x.shape
    patches = _Unfold.apply(x.reshape(count, copies, -1, height, width))
    mixed = torch.bmm(kernel.reshape(copies, -1, patches.shape[1]), patches)
    maps: Tensor = mixed.unflatten(2, (count, height, width)).permute(2, 0, 1, 3, 4)
    return maps.reshape(count, -1, height, width)


def _first_block(images: Tensor, kernel: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """Convolve, normalise, pool and rectify: ``[T, n, c, H, W]`` to ``[n, T*C, H/2, W/2]``."""
    copies, count, _, height, width = images.shape
    patches = _patches(images)
    covariance = patches.mT @ patches / patches.shape[1]
    w = kernel.flatten(2).mT
    variance = (w * (covariance @ w)).sum(1, keepdim=True)
    w = w * (gamma.unsqueeze(1) * torch.rsqrt(variance + EPS))
    x = (patches @ w).view(copies * count, height, width, -1)
    x = _pool(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    x = x.unflatten(0, (copies, count)).permute(1, 2, 3, 0, 4).flatten(3)
    return F.relu(x + beta.flatten()).permute(0, 3, 1, 2)


def _patches(images: Tensor) -> Tensor:
    """Centred 3 x 3 patches: ``[T, n, c, H, W]`` to ``[T, n*H*W, c*9]``."""
    copies, count, _, height, width = images.shape
    padded = F.pad(images, (1, 1, 1, 1))
    shifted = [
        padded[..., i : i + height, j : j + width] for i in range(KERNEL) for j in range(KERNEL)
    ]
    patches = torch.stack(shifted, -1).permute(0, 1, 3, 4, 2, 5)
    patches = patches.reshape(copies, count * height * width, -1)
    return patches - patches.mean(1, keepdim=True)


def _pool(x: Tensor) -> Tensor:
    pooled: Tensor = _Pool.apply(x) if min(x.shape[-2:]) > 1 else x
    return pooled


def _gradients(
    g: Tensor, x: Tensor, w: Tensor, groups: int, mask: list[bool]
) -> tuple[Tensor, ...]:
    return torch.ops.aten.convolution_backward(  # type: ignore[no-any-return]
        g, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], groups, mask
    )


class _Convolution(torch.autograd.Function):
    """``conv3x3(x, w)``; with the two below, the partial derivatives of ``<conv(x, w), g>``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, groups: int) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.groups = groups
        return F.conv2d(x, w, padding=1, groups=groups)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        for_x = _InputGradient.apply(g, w, ctx.groups) if ctx.needs_input_grad[0] else None
        for_w = _WeightGradient.apply(x, g, ctx.groups) if ctx.needs_input_grad[1] else None
        return for_x, for_w, None


class _InputGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, w: Tensor, groups: int) -> Tensor:
        ctx.save_for_backward(g, w)
        ctx.groups = groups
        shape_only = g.new_empty(g.shape[0], w.shape[1] * groups, *g.shape[2:])
        shape_only = shape_only.contiguous(memory_format=torch.channels_last)
        return _gradients(g, shape_only, w, groups, [True, False, False])[0]

    @staticmethod
    def backward(ctx: Any, h: Tensor) -> tuple[Tensor | None, ...]:
        g, w = ctx.saved_tensors
        for_g = _Convolution.apply(h, w, ctx.groups) if ctx.needs_input_grad[0] else None
        for_w = _WeightGradient.apply(h, g, ctx.groups) if ctx.needs_input_grad[1] else None
        return for_g, for_w, None


class _WeightGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, g: Tensor, groups: int) -> Tensor:
        ctx.save_for_backward(x, g)
        ctx.groups = groups
        shape_only = x.new_empty(g.shape[1], x.shape[1] // groups, KERNEL, KERNEL)
        shape_only = shape_only.contiguous(memory_format=torch.channels_last)
        return _gradients(g, x, shape_only, groups, [False, True, False])[1]

    @staticmethod
    def backward(ctx: Any, h: Tensor) -> tuple[Tensor | None, ...]:
        x, g = ctx.saved_tensors
        h = h.contiguous(memory_format=torch.channels_last)
        for_x = _InputGradient.apply(g, h, ctx.groups) if ctx.needs_input_grad[0] else None
        for_g = _Convolution.apply(x, h, ctx.groups) if ctx.needs_input_grad[1] else None
        return for_x, for_g, None


class _Unfold(torch.autograd.Function):
    """3 x 3 patches: ``[n, T, C, h, w]`` to ``[T, C*9, n*h*w]``; linear, as is its adjoint."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.shape = x.shape
        count, copies, channels, height, width = x.shape
        seen = F.pad(x, (1, 1, 1, 1)).unfold(3, KERNEL, 1).unfold(4, KERNEL, 1)
        patches = seen.permute(1, 2, 5, 6, 0, 3, 4)
        return patches.reshape(copies, channels * KERNEL**2, count * height * width)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        folded: Tensor = _Fold.apply(g, ctx.shape)
        return folded


class _Fold(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, shape: torch.Size) -> Tensor:
        del ctx
        count, copies, _, height, width = shape
        columns = g.unflatten(2, (count, height * width)).permute(2, 0, 1, 3).flatten(0, 1)
        folded = F.fold(columns, (height, width), KERNEL, padding=1)
        maps: Tensor = folded.unflatten(0, (count, copies))
        return maps

    @staticmethod
    def backward(ctx: Any, h: Tensor) -> tuple[Tensor, None]:
        del ctx
        unfolded: Tensor = _Unfold.apply(h)
        return unfolded, None


class _Pool(torch.autograd.Function):
    """2 x 2 max-pooling whose first and second derivatives stay channels-last."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        pooled, index = torch.ops.aten.max_pool2d_with_indices(x, [2, 2], [2, 2])
        ctx.save_for_backward(x, index)
        return pooled  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        x, index = ctx.saved_tensors
        spread: Tensor = _Unpool.apply(g, x.detach(), index)
        return spread


class _Unpool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        return torch.ops.aten.max_pool2d_with_indices_backward(  # type: ignore[no-any-return]
            g.contiguous(memory_format=torch.channels_last),
            x, [2, 2], [2, 2], [0, 0], [1, 1], False, index,
        )  # fmt: skip

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, h: Tensor) -> tuple[Tensor, None, None]:
        index = ctx.saved_tensors[0].permute(0, 2, 3, 1)
        picked = h.permute(0, 2, 3, 1).flatten(1, 2).gather(1, index.flatten(1, 2))
        return picked.view(index.shape).permute(0, 3, 1, 2), None, None
