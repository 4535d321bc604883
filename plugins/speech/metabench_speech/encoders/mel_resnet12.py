"""``mel-resnet12``: the residual encoder of the few-shot literature on log-mel bands."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench_speech.encoders.features import audio_samples, frame_count, log_mel
from metabench_speech.encoders.mel_conv4 import as_image

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
            nn.Conv2d(after if depth else before, after, 3, padding=1, bias=False)
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
        return F.leaky_relu(y, SLOPE)


class MelResNet12(Encoder):
    """ResNet-12 (Lee et al., 2019, *Meta-Learning with Differentiable Convex Optimization*).

    Four blocks of 64, 160, 320 and 640 channels, leaky ReLU of slope 0.1 and a global average, on
    64 mel bands by one frame every 10 ms. There is no DropBlock.

    Args:
        spec: What it is built for.
        channels: Channels of the four blocks.
        bands: Mel bands.
        hop: Samples between frames.
    """

    def __init__(
        self,
        spec: InputSpec,
        *,
        channels: tuple[int, ...] = (64, 160, 320, 640),
        bands: int = 64,
        hop: int = 160,
    ) -> None:
        super().__init__()
        high, wide = bands, frame_count(audio_samples(spec), hop)
        self.bands, self.hop = bands, hop
        self.blocks = nn.Sequential()
        before = 1
        for after in channels:
            self.blocks.append(Block(before, after))
            before = after
            if min(high, wide) > 1:
                high, wide = high // 2, wide // 2
        self.width = before
        self.map_shape = (before, high, wide)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, a=SLOPE, mode="fan_out", nonlinearity="leaky_relu"
                )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def prepare(self, inputs: Inputs, meta_train: Tensor) -> Inputs:
        """Compute ``mel`` float16 ``[n, bands, frames]``."""
        del meta_train
        return {"mel": log_mel(inputs, bands=self.bands, hop=self.hop)}

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed ``mel`` ``[n, bands, frames]`` as ``[n, width]``."""
        return self.forward_map(inputs).mean((2, 3))

    def forward_map(self, inputs: Inputs) -> Tensor:
        """Embed ``mel`` as ``[n, width, bands / 16, frames / 16]``: what ``forward`` averages."""
        maps: Tensor = self.blocks(as_image(inputs["mel"], next(self.parameters()).dtype))
        return maps
