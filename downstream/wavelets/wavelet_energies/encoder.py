"""Wavelet energies, computed once per source on the host."""

import numpy as np
import pywt
import torch

from metabench.learners.contracts import Encoder

LEVELS = 2


class WaveletEnergies(Encoder):
    """Log energies in a grid of cells of every subband of a Haar decomposition."""

    def __init__(self, spec):
        super().__init__()
        self.width = self.prepare(
            {"pixels": torch.zeros(1, *spec.shapes["pixels"], dtype=torch.uint8)},
            torch.empty(0, dtype=torch.int64),
        )["energies"].shape[1]

    def prepare(self, inputs, meta_train):
        """Decompose every image; statistics of other images are not needed."""
        del meta_train
        grey = inputs["pixels"].float().mean(1).numpy() / 255
        bands = pywt.wavedec2(grey, "haar", level=LEVELS, axes=(-2, -1))
        flat = [bands[0], *(band for details in bands[1:] for band in details)]
        cells = [np.log1p(np.abs(band)).reshape(len(grey), -1) for band in flat]
        return {"energies": torch.from_numpy(np.concatenate(cells, 1).astype(np.float32))}

    def forward(self, inputs):
        """Return what was prepared."""
        return inputs["energies"]
