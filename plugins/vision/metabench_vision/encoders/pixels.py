"""``pixels``: the image itself, as the baseline of every encoder."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench_vision.encoders.scaling import image_shape, unit

LARGEST = 32
POOLED = 28


class Pixels(Encoder):
    """Pixels in 0 .. 1, flattened.

    A side of more than 32 pixels is averaged down to 28, so that a photograph has 2,352 values and
    a distance between two images does not hang on single pixels.

    Args:
        spec: What it is built for.
    """

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        channels, height, width = image_shape(spec)
        self.size = (
            POOLED if height > LARGEST else height,
            POOLED if width > LARGEST else width,
        )
        self.width = channels * self.size[0] * self.size[1]

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed ``pixels`` ``[n, C, H, W]`` as ``[n, width]``."""
        x = unit(inputs, torch.float32)
        if tuple(x.shape[-2:]) != self.size:
            x = F.adaptive_avg_pool2d(x, self.size)
        return x.flatten(1)
