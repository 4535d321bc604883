"""``conv4-concat``: four convolutions whose last two outputs are joined, as in R2-D2."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench_vision.encoders.scaling import channels_last, image_shape, unit

SLOPE = 0.1
HALVING = 3
"""Blocks whose pooling has stride 2; that of the last has stride 1."""


class Conv4Concat(Encoder):
    """Four 3 x 3 convolutions; the embedding is the output of the third and of the fourth.

    Bertinetto, Henriques, Torr & Vedaldi (2019), "Meta-learning with differentiable closed-form
    solvers", arXiv:1805.08136, section 4, with the released code's order: convolution, batch norm,
    2 x 2 max-pooling, leaky ReLU of slope 0.1. The last pooling has stride 1, and so has one more
    of the third output before the two are joined: 3,584 values for an image of 28 x 28 with the
    published channels, 512 with 64 in each block. Nothing is dropped out, as in theirs on Omniglot.
    A map of one pixel is not pooled any more.

    Args:
        spec: What it is built for.
        channels: Filters of the four convolutions.
    """

    def __init__(self, spec: InputSpec, *, channels: tuple[int, ...] = (96, 192, 384, 512)) -> None:
        super().__init__()
        before, height, width = image_shape(spec)
        self.convolutions = nn.ModuleList()
        self.norms = nn.ModuleList(nn.BatchNorm2d(after) for after in channels)
        for block, after in enumerate(channels):
            self.convolutions.append(nn.Conv2d(before, after, 3, padding=1))
            before = after
            if min(height, width) > 1 and block < HALVING:
                height, width = height // 2, width // 2
        if min(height, width) > 1:
            height, width = height - 1, width - 1
        self.width = sum(channels[-2:]) * height * width
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed ``pixels`` ``[n, C, H, W]`` as ``[n, width]``."""
        x = channels_last(unit(inputs, next(self.parameters()).dtype))
        outputs = []
        for block, (convolution, norm) in enumerate(
            zip(self.convolutions, self.norms, strict=True)
        ):
            x = F.leaky_relu(_pool(norm(convolution(x)), 2 if block < HALVING else 1), SLOPE)
            outputs.append(x)
        return torch.cat([_pool(outputs[-2], 1).flatten(1), outputs[-1].flatten(1)], 1)


def _pool(x: Tensor, stride: int) -> Tensor:
    return F.max_pool2d(x, 2, stride) if min(x.shape[-2:]) > 1 else x
