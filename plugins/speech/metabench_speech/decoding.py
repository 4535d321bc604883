"""One recording to 16 kHz mono: what is refused, and how the rest is converted."""

from __future__ import annotations

import io
import math
from functools import cache

import numpy as np
import numpy.typing as npt
import soundfile
import torch

from metabench.torchaudio_compat import import_torchaudio

RATE = 16_000
"""Samples per second of every waveform."""
MAX_SAMPLES = 50_000_000
"""Samples, over all channels, that one recording may unpack to; about half an hour."""
MAX_RATE = 768_000
MAX_RATIO = 1_000
"""Largest numerator of a rate over 16 kHz: the table of the resampler is that many kernels."""
SCALE = 32_768
UNKNOWN_SIZES = (0, 0xFFFFFFFF)
"""Sizes that programs which stream leave in a RIFF header."""

Waveform = npt.NDArray[np.int16]


class BadRecording(Exception):  # noqa: N818 - a reason, which is counted and never shown as an error
    """A recording that cannot be used, and why."""


def decode(content: bytes) -> Waveform:
    """Decode a WAV, FLAC, OGG or MP3 file.

    Channels are averaged; other rates are resampled with a windowed sinc; sample formats of any
    width become 16 bits. 16-bit mono at 16 kHz passes bit for bit.

    Args:
        content: The bytes of the file.

    Returns:
        ``[T]`` samples at 16 kHz.

    Raises:
        BadRecording: If it cannot be decoded, is cut short, has no samples, or has values that are
            no numbers.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            rate, announced = int(file.samplerate), int(file.frames)
            if announced * file.channels > MAX_SAMPLES or not 0 < rate <= MAX_RATE:
                raise BadRecording(f"unreasonable header: {announced} frames at {rate} Hz")
            samples = file.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, ValueError, OSError) as error:
        text = _first_line(error).partition(">: ")[2] or _first_line(error)  # an object's address
        raise BadRecording(f"cannot be decoded: {text}") from error
    if len(samples) < announced or _riff_is_cut(content):
        raise BadRecording("cut short")
    if not len(samples):
        raise BadRecording("no samples")
    if not np.isfinite(samples).all():
        raise BadRecording("samples that are no numbers")
    if rate // math.gcd(rate, RATE) > MAX_RATIO:
        raise BadRecording(f"a rate of {rate} Hz is in no handy ratio to {RATE} Hz")
    mono = samples.mean(1, dtype=np.float64)
    return to_int16(resample(mono, rate) if rate != RATE else mono)


def to_int16(samples: npt.NDArray[np.float64]) -> Waveform:
    """Round samples of full scale 1 to 16 bits; what is louder is clipped."""
    scaled = np.rint(samples * SCALE)
    return np.clip(scaled, -SCALE, SCALE - 1).astype(np.int16)


def resample(samples: npt.NDArray[np.float64], rate: int) -> npt.NDArray[np.float64]:
    """Bring ``[..., T]`` samples from a rate to 16 kHz.

    A sinc of 64 zero crossings under a Kaiser window, the values that torchaudio's documentation
    gives for the quality of ``kaiser_best`` (Smith, "Digital audio resampling"). In double
    precision, so that rounding to 16 bits hides any difference in the order of summation.
    """
    resampler = _resampler(rate)
    with torch.inference_mode():
        converted: npt.NDArray[np.float64] = resampler(torch.from_numpy(samples)).numpy()
    return converted


@cache
def _resampler(rate: int) -> torch.nn.Module:
    module: torch.nn.Module = import_torchaudio().transforms.Resample(
        rate,
        RATE,
        resampling_method="sinc_interp_kaiser",
        lowpass_filter_width=64,
        rolloff=0.9475937167399596,
        beta=14.769656459379492,
        dtype=torch.float64,
    )
    return module


def _riff_is_cut(content: bytes) -> bool:
    """Whether a WAV file says that it is longer; libsndfile would read what is there."""
    if content[:4] != b"RIFF":
        return False
    size = int.from_bytes(content[4:8], "little")
    return size not in UNKNOWN_SIZES and size + 8 > len(content) + size % 2


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
