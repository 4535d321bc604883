"""Log-mel bands and MFCCs of whole sources, in batches, by torchaudio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from metabench.learners.contracts import Inputs, InputSpec
from metabench.torchaudio_compat import import_torchaudio
from metabench_speech.decoding import RATE, SCALE

WINDOW = 400
"""Samples of a window: 25 ms."""
FFT = 512
LOWEST = 50.0
"""Hz; below lies hum."""
FLOOR = 1e-6
"""Added to the power of a mel band before the logarithm."""
BATCH_SAMPLES = 4_000_000
"""Samples per batch, which bounds the memory."""


@dataclass(frozen=True)
class Batch:
    """Some examples of a source.

    Attributes:
        rows: Which.
        waveform: ``[b, T]`` float32, full scale 1.
        length: ``[b]`` samples that are not padding.
    """

    rows: slice
    waveform: Tensor
    length: Tensor


def audio_samples(spec: InputSpec) -> int:
    """Samples of a waveform of the source that an encoder is built for.

    Raises:
        ValueError: If the source has no ``waveform`` ``[n, T]`` with a ``length``.
    """
    shape = spec.shapes.get("waveform")
    if shape is None or len(shape) != 1 or "length" not in spec.shapes:
        raise ValueError(f"audio inputs need 'waveform' [n, T] and 'length', not {spec.shapes}")
    return shape[0]


def batches(inputs: Inputs) -> Iterator[Batch]:
    """Yield the examples in order as floating point."""
    waveform, length = inputs["waveform"], inputs["length"].long()
    size = max(1, BATCH_SAMPLES // max(1, waveform.shape[1]))
    for start in range(0, len(waveform), size):
        rows = slice(start, start + size)
        yield Batch(rows, waveform[rows].float() / SCALE, length[rows])


def frame_count(samples: int, hop: int) -> int:
    """Frames of a waveform; windows are centred on the multiples of the hop."""
    return 1 + samples // hop


def real_frames(length: Tensor, frames: int, hop: int) -> Tensor:
    """``[b, frames]``, true where a frame's centre is not in the padding; the first always is."""
    return torch.arange(frames) < (1 + length // hop).clamp_max(frames).unsqueeze(1)


def log_mel(inputs: Inputs, *, bands: int, hop: int) -> Tensor:
    """Compute normalised logarithms of mel bands.

    From each band its mean over the recording is taken, which removes the response of microphone
    and voice (Atal, 1974, JASA 55:1304), and what is left is divided by the recording's standard
    deviation over all bands, which keeps loud and soft bands apart. Frames of padding are zero.

    Args:
        inputs: ``waveform`` int16 ``[n, T]`` and ``length`` ``[n]``.
        bands: Mel bands from 50 Hz to 8 kHz.
        hop: Samples between frames.

    Returns:
        float16 ``[n, bands, 1 + T // hop]``.
    """
    transform = import_torchaudio().transforms.MelSpectrogram(
        RATE, n_fft=FFT, win_length=WINDOW, hop_length=hop, f_min=LOWEST, n_mels=bands
    )
    frames = frame_count(inputs["waveform"].shape[1], hop)
    features = torch.empty(len(inputs["waveform"]), bands, frames, dtype=torch.float16)
    with torch.inference_mode():
        for batch in batches(inputs):
            mel = (transform(batch.waveform) + FLOOR).log()
            real = real_frames(batch.length, frames, hop).unsqueeze(1)
            count = real.sum(2, keepdim=True)
            mel = (mel - (mel * real).sum(2, keepdim=True) / count) * real
            spread = (mel.square().sum((1, 2), keepdim=True) / (count * bands)).sqrt()
            features[batch.rows] = mel / spread.clamp_min(1e-3)
    return features


def masked_stats(x: Tensor, real: Tensor) -> Tensor:
    """Mean and standard deviation over the real frames: ``[b, c, T]`` to ``[b, 2c]``."""
    weight = real.unsqueeze(1).to(x.dtype)
    count = weight.sum(2)
    mean = (x * weight).sum(2) / count
    variance = ((x - mean.unsqueeze(2)).square() * weight).sum(2) / count
    return torch.cat([mean, variance.sqrt()], 1)
