"""Encoders of series."""

import torch
from torch import nn

from metabench.learners.contracts import Encoder


class Spectrum(Encoder):
    """Logarithm of the power spectrum, standardised by the meta-train series."""

    def __init__(self, spec):
        super().__init__()
        self.width = spec.shapes["values"][0] // 2

    def prepare(self, inputs, meta_train):
        """Transform all series once."""
        values = inputs["values"]
        power = torch.fft.rfft(values)[:, 1:].abs().square()
        logs = torch.log(power + 1e-6)
        if len(meta_train):
            known = logs[meta_train]
            logs = (logs - known.mean(0)) / known.std(0).clamp_min(1e-6)
        return {"spectrum": logs}

    def forward(self, inputs):
        """Return what was prepared."""
        return inputs["spectrum"]


class SeriesCnn(Encoder):
    """Convolutions over time; what is found anywhere counts the same."""

    def __init__(self, spec, width=32):
        super().__init__()
        del spec
        self.width = width
        self.layers = nn.Sequential(
            nn.Conv1d(1, width, 9, padding=4), nn.ReLU(),
            nn.Conv1d(width, width, 9, padding=4, stride=2), nn.ReLU(),
        )  # fmt: skip

    def forward(self, inputs):
        """Embed a batch of series."""
        return self.layers(inputs["values"].unsqueeze(1)).mean(-1)
