"""``resnet12``: the residual encoder of the few-shot literature."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench_vision.encoders.scaling import channels_last, image_shape, unit

SLOPE = 0.1


class Block(nn.Module):
    """Three 3 x 3 convolutions with a 1 x 1 shortcut, then 2 x 2 max-pooling.

    Args:
        before: Channels of the input.
        after: Channels of the output.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before if depth == 0 else after, after, 3, padding=1, bias=False)
            for depth in range(3)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(after) for _ in range(3))
        self.shortcut = nn.Conv2d(before, after, 1, bias=False)
        self.shortcut_norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """``[n, before, h, w]`` to ``[n, after, h // 2, w // 2]``; a map of one pixel stays."""
        y = x
        for depth, (convolution, norm) in enumerate(
            zip(self.convolutions, self.norms, strict=True)
        ):
            y = norm(convolution(F.leaky_relu(y, SLOPE) if depth else y))
        y = y + self.shortcut_norm(self.shortcut(x))
        if min(y.shape[-2:]) > 1:
            y = F.max_pool2d(y, 2)
        return F.leaky_relu(y, SLOPE)  # commutes with the maximum


class ResNet12(Encoder):
    """ResNet-12 (Lee et al., 2019, *Meta-Learning with Differentiable Convex Optimization*).

    Four blocks of 64, 160, 320 and 640 channels, leaky ReLU of slope 0.1, and a global average:
    640 values. There is no DropBlock, and images are normalised to -1 .. 1 and not by ImageNet's
    statistics, since it also sees drawings.

    Args:
        spec: What it is built for.
        channels: Channels of the four blocks.
    """

    def __init__(self, spec: InputSpec, *, channels: tuple[int, ...] = (64, 160, 320, 640)) -> None:
        super().__init__()
        before, height, width = image_shape(spec)
        self.blocks = nn.Sequential()
        for after in channels:
            self.blocks.append(Block(before, after))
            before = after
            if min(height, width) > 1:
                height, width = height // 2, width // 2
        self.width = before
        self.map_shape = (before, height, width)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, a=SLOPE, mode="fan_out", nonlinearity="leaky_relu"
                )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed ``pixels`` ``[n, C, H, W]`` as ``[n, width]``."""
        return self.forward_map(inputs).mean((2, 3))

    def forward_map(self, inputs: Inputs) -> Tensor:
        """Embed ``pixels`` as ``[n, width, H / 16, W / 16]``: what ``forward`` averages."""
        pixels = unit(inputs, next(self.parameters()).dtype).mul(2).sub(1)
        maps: Tensor = self.blocks(channels_last(pixels))
        return maps
