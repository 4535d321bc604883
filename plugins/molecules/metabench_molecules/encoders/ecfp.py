"""``ecfp``: counts of circular substructures, hashed; nothing is learned.

Rogers & Hahn, "Extended-connectivity fingerprints", J. Chem. Inf. Model. 50 (2010): RDKit's Morgan
fingerprint of radius 2, hashed to 2,048 counts, as in FS-Mol.
"""

from __future__ import annotations

import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from torch import Tensor

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench_molecules.smiles import molecules

RADIUS = 2
SIZE = 2048
LARGEST = 255


class Fingerprinter:
    """Computes the counts of one molecule after another."""

    def __init__(self) -> None:
        self._generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=SIZE)

    def __call__(self, molecule: Chem.Mol) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        """Return ``[2048]`` counts; what is above 255 becomes 255."""
        counts = self._generator.GetCountFingerprintAsNumPy(molecule)
        clipped: np.ndarray[tuple[int], np.dtype[np.uint8]]
        clipped = np.minimum(counts, LARGEST).astype(np.uint8)
        return clipped


class ECFP(Encoder):
    """Count fingerprints as uint8.

    Args:
        spec: What the inputs are.
    """

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        del spec
        self.width = SIZE

    def prepare(self, inputs: Inputs, meta_train: Tensor) -> Inputs:
        """Compute ``counts`` uint8 ``[n, 2048]``."""
        del meta_train
        fingerprint = Fingerprinter()
        counts = torch.empty(len(inputs["length"]), SIZE, dtype=torch.uint8)
        rows = counts.numpy()
        for row, molecule in enumerate(molecules(inputs)):
            rows[row] = fingerprint(molecule)
        return {"counts": counts}

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the counts, uint8."""
        return inputs["counts"]
