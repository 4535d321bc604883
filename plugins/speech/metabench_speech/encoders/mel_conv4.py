"""``mel-conv4``: the four-block convolutional encoder of the few-shot literature on log-mel bands.

Vinyals et al. (2016), section 3, in the form of Snell et al. (2017). Heggan et al. (2022),
"MetaAudio", ICANN, use such encoders on spectrograms of few-shot audio tasks.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench.learners.copies import convolve_copies
from metabench_speech.encoders.features import audio_samples, frame_count, log_mel

BLOCKS = 4
POOLED_IN_MAPS = 3
"""Blocks with pooling where a map is wanted; Conv4 on images, which are smaller, takes 2."""
STEPS = 4
"""Most stretches of time that the embedding tells apart."""


class MelConv4(Encoder):
    """Four times 3 x 3 convolution, batch norm, ReLU and 2 x 2 max-pooling; then flattened.

    The input is an image of 40 mel bands by one frame every 20 ms. Along time the last map is
    averaged down to at most four stretches, so that the order of sounds stays and a long recording
    has no longer an embedding than a short one.

    ReLU and maximum commute, so pooling comes first.

    Args:
        spec: What it is built for.
        channels: Filters of each convolution.
        bands: Mel bands.
        hop: Samples between frames.
    """

    def __init__(
        self, spec: InputSpec, *, channels: int = 64, bands: int = 40, hop: int = 320
    ) -> None:
        super().__init__()
        self.bands, self.hop = bands, hop
        high, wide = bands, frame_count(audio_samples(spec), hop)
        self.convolutions = nn.ModuleList()
        self.norms = nn.ModuleList()
        for block in range(BLOCKS):
            self.convolutions.append(nn.Conv2d(channels if block else 1, channels, 3, padding=1))
            self.norms.append(nn.BatchNorm2d(channels))
            if min(high, wide) > 1:
                high, wide = high // 2, wide // 2
            if block + 1 == POOLED_IN_MAPS:
                self.map_shape = (channels, high, wide)
        self.steps = min(STEPS, wide)
        self.width = channels * high * self.steps
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def prepare(self, inputs: Inputs, meta_train: Tensor) -> Inputs:
        """Compute ``mel`` float16 ``[n, bands, frames]``."""
        del meta_train
        return {"mel": log_mel(inputs, bands=self.bands, hop=self.hop)}

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed ``mel`` ``[n, bands, frames]`` as ``[n, width]``."""
        return self._in_steps(self._convolve(inputs, pooled=BLOCKS)).flatten(1)

    def forward_map(self, inputs: Inputs) -> Tensor:
        """Embed ``mel`` as ``[n, channels, bands / 8, frames / 8]``: block 4 does not pool."""
        return self._convolve(inputs, pooled=POOLED_IN_MAPS)

    def forward_copies(self, weights: Mapping[str, Tensor], inputs: Inputs) -> Tensor:
        """Embed ``mel`` ``[T, n, bands, frames]`` with ``T`` copies of the weights.

        Each copy normalises by the statistics of its own batch; buffers are neither read nor
        written.

        Returns:
            ``[T, n, width]``.
        """
        mel = inputs["mel"].to(weights["convolutions.0.weight"].dtype)
        x = convolve_copies(weights, mel.unsqueeze(2), BLOCKS)
        return self._in_steps(x.flatten(0, 1)).unflatten(0, x.shape[:2]).transpose(0, 1).flatten(2)

    def _in_steps(self, x: Tensor) -> Tensor:
        """Average a map ``[n, C, h, w]`` down to the stretches of time that are told apart."""
        if x.shape[-1] > self.steps:
            x = F.adaptive_avg_pool2d(x, (x.shape[-2], self.steps))
        return x

    def _convolve(self, inputs: Inputs, pooled: int) -> Tensor:
        x = as_image(inputs["mel"], next(self.parameters()).dtype)
        for block, (convolution, norm) in enumerate(
            zip(self.convolutions, self.norms, strict=True)
        ):
            x = norm(convolution(x))
            if block < pooled and min(x.shape[-2:]) > 1:
                x = F.max_pool2d(x, 2)
            x = F.relu(x)
        return x


def as_image(mel: Tensor, dtype: torch.dtype) -> Tensor:
    """``[n, bands, frames]`` to ``[n, 1, bands, frames]``, laid out channels-last.

    The permutations do under ``vmap`` as well, where ``memory_format`` is not implemented.
    """
    image = mel.to(dtype).unsqueeze(1)
    return image.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
