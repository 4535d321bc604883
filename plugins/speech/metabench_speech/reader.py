"""Users' own recordings to waveforms of one length."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import soundfile
import torch

from metabench.errors import UsageError
from metabench.tasks.reading import (
    BadItemError,
    Fault,
    Item,
    ItemReader,
    ReadItems,
    Shapes,
    in_order,
    item_bytes,
)
from metabench.torchaudio_compat import import_torchaudio
from metabench_speech.decoding import RATE, BadRecording, Waveform, decode, to_int16

LONGEST = 10.0
"""Seconds that are kept of a recording, unless more is asked for."""
STEP = 0.5
"""A length is a multiple of it, so that a new recording does not change that of all others."""
COVERED = 0.99
"""Share of the recordings that are not cut: a single long one does not lengthen all."""
MAX_BYTES = 1024**3
"""Bytes of all waveforms together, unless a length is asked for."""


class AudioReader(ItemReader):
    """WAV, FLAC, Ogg (Vorbis, Opus) and MP3 files to mono at 16 kHz, int16.

    The length is that of the longest recording, one in a hundred left aside, rounded up to half a
    second; at most ten seconds, and at most what keeps all recordings within 1 GiB. Longer ones are
    cut and shorter ones padded with zeros.

    Args:
        seconds: The length, if it is not to be found so.
    """

    def __init__(self, seconds: float | None = None) -> None:
        if seconds is not None and not (
            isinstance(seconds, int | float) and 0 < seconds * RATE < MAX_BYTES
        ):
            raise UsageError(f"recordings of {seconds!r} seconds: a number above 0")
        self._seconds = seconds

    def read(self, items: Sequence[Item], like: Shapes | None = None) -> ReadItems:
        """Read recordings.

        Args:
            items: Paths, bytes of files, or arrays ``[T]`` at 16 kHz of int16, or of floating point
                from -1 to 1.
            like: ``waveform`` ``(T,)``.

        Returns:
            ``waveform``, int16 ``[m, T]``, and ``length``, int32 ``[m]``.
        """
        import_torchaudio()  # it cannot be imported by two threads at once
        size = like["waveform"][0] if like else self._samples(items)
        waveform = torch.zeros(len(items), size, dtype=torch.int16)
        length = torch.zeros(len(items), dtype=torch.int32)
        kept: list[int] = []
        faults: list[Fault] = []
        cut = 0
        for position, wave in in_order(items, to_wave, faults):
            row, used = len(kept), min(len(wave), size)
            cut += len(wave) > size
            waveform.numpy()[row, :used] = wave[:used]
            length[row] = used
            kept.append(position)
        inputs = {"waveform": waveform[: len(kept)], "length": length[: len(kept)]}
        said = (f"{cut} recordings cut to {size / RATE:g} seconds",) if cut else ()
        return ReadItems(inputs, np.array(kept, np.int64), tuple(faults), notes=said)

    def _samples(self, items: Sequence[Item]) -> int:
        if self._seconds is not None:
            return max(1, round(self._seconds * RATE))
        found: list[Fault] = []
        known = [seconds for _, seconds in in_order(items, _seconds, found)]
        longest = float(np.quantile(known, COVERED, method="higher")) if known else STEP
        room = math.floor(MAX_BYTES / (2 * RATE * max(1, len(items))) / STEP) * STEP
        steps = math.ceil(round(longest / STEP, 6))
        return round(max(STEP, min(steps * STEP, LONGEST, room)) * RATE)


def to_wave(item: Item) -> Waveform:
    """Decode one recording.

    Args:
        item: A path, the bytes of a file, or samples at 16 kHz.

    Returns:
        ``[T]`` samples at 16 kHz.

    Raises:
        BadItemError: If it is no recording, is damaged or empty.
    """
    if isinstance(item, np.ndarray):
        return _from_array(item)
    try:
        return decode(item_bytes(item))
    except BadRecording as reason:
        raise BadItemError(str(reason)) from reason


def _from_array(samples: npt.NDArray[np.generic]) -> Waveform:
    if samples.ndim != 1 or not samples.size:
        raise BadItemError(f"is an array {samples.shape}; recordings are [T], at 16 kHz")
    if samples.dtype == np.int16:
        return samples.astype(np.int16)
    if samples.dtype.kind != "f" or not np.isfinite(samples.astype(np.float64)).all():
        raise BadItemError(f"has samples of {samples.dtype}; int16, or numbers from -1 to 1")
    return to_int16(samples.astype(np.float64))


def _seconds(item: Item) -> float:
    """Read the length from the header; what is wrong with the rest is found on decoding."""
    if isinstance(item, np.ndarray):
        return len(item) / RATE
    try:
        header = soundfile.info(io.BytesIO(item_bytes(item)))
    except (soundfile.SoundFileError, RuntimeError, ValueError, OSError) as error:
        raise BadItemError("has no header") from error
    return float(header.frames / max(1, header.samplerate))
