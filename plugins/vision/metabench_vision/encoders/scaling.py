"""What the image encoders have in common: uint8 pixels to floats."""

from __future__ import annotations

import torch
from torch import Tensor

from metabench.learners.contracts import Inputs, InputSpec

WHITE = 255


def image_shape(spec: InputSpec) -> tuple[int, int, int]:
    """Channels, height and width of the images that an encoder is built for.

    Raises:
        ValueError: If the source has no ``pixels`` of three dimensions.
    """
    shape = spec.shapes.get("pixels")
    if shape is None or len(shape) != 3:  # noqa: PLR2004 - channels, height, width
        raise ValueError(f"image inputs need 'pixels' of shape [n, C, H, W], not {spec.shapes}")
    channels, height, width = shape
    return channels, height, width


def unit(inputs: Inputs, dtype: torch.dtype) -> Tensor:
    """Scale ``pixels`` to 0 .. 1; what is floating point already is taken as scaled."""
    pixels = inputs["pixels"]
    if pixels.is_floating_point():
        return pixels.to(dtype)
    return pixels.to(dtype).div(WHITE)


def channels_last(x: Tensor) -> Tensor:
    """Lay ``[n, C, H, W]`` out as ``[n, H, W, C]`` in memory, for the faster convolutions.

    The permutations do under ``vmap`` as well, where ``memory_format`` is not implemented.
    """
    return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
