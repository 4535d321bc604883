"""``mfcc-stats``: what a recording's MFCCs and their deltas are on average, and how they vary.

Davis & Mermelstein, "Comparison of parametric representations for monosyllabic word recognition",
IEEE TASSP 28:357, 1980. The classic fixed-size description of a recording; it has no weights and
knows nothing of the order of sounds beyond the deltas.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench.torchaudio_compat import import_torchaudio
from metabench_speech.decoding import RATE
from metabench_speech.encoders.features import (
    FFT,
    LOWEST,
    WINDOW,
    audio_samples,
    batches,
    frame_count,
    masked_stats,
    real_frames,
)

HOP = 160
BANDS = 40


class MFCCStats(Encoder):
    """Mean and standard deviation over time of MFCCs, deltas and second deltas.

    Windows of 25 ms every 10 ms; only the frames of the real length count. Each value is
    standardised by its mean and deviation over the meta-train examples, where there are any.

    Args:
        spec: What it is built for.
        coefficients: Cepstral coefficients; 13 as in the textbooks.
    """

    def __init__(self, spec: InputSpec, *, coefficients: int = 13) -> None:
        super().__init__()
        audio_samples(spec)
        self.coefficients = coefficients
        self.width = 6 * coefficients

    def prepare(self, inputs: Inputs, meta_train: Tensor) -> Inputs:
        """Compute the description of every recording."""
        torchaudio = import_torchaudio()
        transform = torchaudio.transforms.MFCC(
            RATE,
            n_mfcc=self.coefficients,
            log_mels=True,
            melkwargs={
                "n_fft": FFT,
                "win_length": WINDOW,
                "hop_length": HOP,
                "f_min": LOWEST,
                "n_mels": BANDS,
            },
        )
        frames = frame_count(inputs["waveform"].shape[1], HOP)
        found = torch.empty(len(inputs["waveform"]), self.width)
        with torch.inference_mode():
            for batch in batches(inputs):
                mfcc = transform(batch.waveform)
                delta = torchaudio.functional.compute_deltas(mfcc)
                second = torchaudio.functional.compute_deltas(delta)
                real = real_frames(batch.length, frames, HOP)
                found[batch.rows] = masked_stats(torch.cat([mfcc, delta, second], 1), real)
        if len(meta_train) > 1:
            base = found[meta_train]
            found = (found - base.mean(0)) / base.std(0).clamp_min(1e-6)
        return {"embedding": found}

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the ``[n, width]`` descriptions."""
        return inputs["embedding"]
