"""``conv4``: the four-block convolutional encoder of Vinyals et al. (2016), section 3."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench.learners.copies import convolve_copies
from metabench_vision.encoders.scaling import channels_last, image_shape, unit

BLOCKS = 4
POOLED_IN_MAPS = 2
"""Blocks with pooling where a map is wanted (Sung et al., 2018; Li et al., 2019, DN4)."""


class Conv4(Encoder):
    """Four times 3 x 3 convolution, batch norm, ReLU and 2 x 2 max-pooling; then flattened.

    As in Snell et al. (2017): 64 channels, and images in 0 .. 1 without further normalisation; 64
    values for an image of 28 x 28, 1,600 for 84 x 84. A map of one pixel is not pooled any more, so
    that smaller images go through as well.

    ReLU and maximum commute, so pooling comes before the ReLU, which then has a quarter to do; the
    values and the gradients are the same.

    Args:
        spec: What it is built for.
        channels: Filters of each convolution.
    """

    def __init__(self, spec: InputSpec, *, channels: int = 64) -> None:
        super().__init__()
        wide, height, width = image_shape(spec)
        self.convolutions = nn.ModuleList()
        self.norms = nn.ModuleList()
        for _ in range(BLOCKS):
            self.convolutions.append(nn.Conv2d(wide, channels, 3, padding=1))
            self.norms.append(nn.BatchNorm2d(channels))
            wide = channels
            if min(height, width) > 1:
                height, width = height // 2, width // 2
            if len(self.norms) == POOLED_IN_MAPS:
                self.map_shape = (channels, height, width)
        self.width = channels * height * width
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed ``pixels`` ``[n, C, H, W]`` as ``[n, width]``."""
        return self._convolve(inputs, pooled=BLOCKS).flatten(1)

    def forward_map(self, inputs: Inputs) -> Tensor:
        """Embed ``pixels`` as ``[n, channels, H / 4, W / 4]``: the last two blocks do not pool."""
        return self._convolve(inputs, pooled=POOLED_IN_MAPS)

    def _convolve(self, inputs: Inputs, pooled: int) -> Tensor:
        x = channels_last(unit(inputs, next(self.parameters()).dtype))
        for block, (convolution, norm) in enumerate(
            zip(self.convolutions, self.norms, strict=True)
        ):
            x = norm(convolution(x))
            if block < pooled and min(x.shape[-2:]) > 1:
                x = F.max_pool2d(x, 2)
            x = F.relu(x)
        return x

    def forward_copies(self, weights: Mapping[str, Tensor], inputs: Inputs) -> Tensor:
        """Embed ``pixels`` ``[T, n, C, H, W]`` with ``T`` copies of the weights: ``[T, n, width]``.

        Each copy normalises by the statistics of its own batch; buffers are neither read nor
        written.
        """
        pixels = unit(inputs, weights["convolutions.0.weight"].dtype)
        return convolve_copies(weights, pixels, BLOCKS).transpose(0, 1).flatten(2)
