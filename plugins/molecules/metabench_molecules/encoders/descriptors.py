"""``rdkit-descriptors``: some 120 physical and topological numbers of a molecule, standardised.

RDKit's ``rdMolDescriptors``: all registered properties (weight, logP, polar surface, counts of
rings and donors, connectivity and shape indices, ...), the surface areas by partial charge, logP
and refractivity (Labute, J. Mol. Graph. Model. 18, 2000) and the 42 molecular quantum numbers
(Nguyen et al., ChemMedChem 4, 2009). They are what RDKit computes in C++. Its Python descriptors
(electrotopological states, ``Ipc``, ``qed``, counts of 85 functional groups) take several times as
long as these together, an hour for the molecules of FS-Mol, and are left out.
"""

from __future__ import annotations

import numpy as np
import torch
from rdkit import Chem, rdBase
from rdkit.Chem import rdMolDescriptors
from torch import Tensor

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench_molecules.smiles import molecules

_PROPERTIES = tuple(sorted(rdMolDescriptors.Properties.GetAvailableProperties()))
_SURFACES = (
    (rdMolDescriptors.PEOE_VSA_, "PEOE_VSA", 14),
    (rdMolDescriptors.SlogP_VSA_, "SlogP_VSA", 12),
    (rdMolDescriptors.SMR_VSA_, "SMR_VSA", 10),
)
_NUMBERS = 42
NAMES = (
    *_PROPERTIES,
    *(f"{name}{i}" for _, name, count in _SURFACES for i in range(1, count + 1)),
    *(f"MQN{i}" for i in range(1, _NUMBERS + 1)),
)
"""The name of every column."""


class RDKitDescriptors(Encoder):
    """Descriptors with mean 0 and variance 1 over the meta-train molecules.

    A value that is not finite (a partial charge of a metal, say) is taken for the mean. A column
    that is constant in meta-train is 0 throughout. Without meta-train molecules nothing is shifted
    or scaled.

    Args:
        spec: What the inputs are.
        clip: Where standardised values are cut, so that one odd molecule does not dominate.
    """

    def __init__(self, spec: InputSpec, *, clip: float = 5.0) -> None:
        super().__init__()
        del spec
        self.width = len(NAMES)
        self._clip = clip

    def prepare(self, inputs: Inputs, meta_train: Tensor) -> Inputs:
        """Compute ``descriptors`` float32 ``[n, d]``."""
        values = describe(inputs)
        values[~np.isfinite(values)] = np.nan
        fitted = values[meta_train.cpu().numpy()] if len(meta_train) else np.empty((0, self.width))
        mean, scale = _statistics(fitted)
        values = np.nan_to_num((values - mean) * scale).clip(-self._clip, self._clip)
        return {"descriptors": torch.from_numpy(values.astype(np.float32))}

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the standardised descriptors."""
        return inputs["descriptors"]


def describe(inputs: Inputs) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Compute the raw descriptors ``[n, d]``, in the order of `NAMES`."""
    compute = rdMolDescriptors.Properties(list(_PROPERTIES))
    values = np.empty((len(inputs["length"]), len(NAMES)))
    for row, molecule in enumerate(molecules(inputs)):
        with rdBase.BlockLogs():
            values[row] = _of(molecule, compute)
    return values


def _of(molecule: Chem.Mol, compute: rdMolDescriptors.Properties) -> list[float]:
    found = [float(value) for value in compute.ComputeProperties(molecule)]
    for surface, _, _ in _SURFACES:
        found.extend(surface(molecule))
    found.extend(rdMolDescriptors.MQNs_(molecule))
    return found


def _statistics(
    values: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    """Return mean and inverse standard deviation by column, NaN left out."""
    present = np.isfinite(values)
    count = np.maximum(present.sum(0), 1)
    mean = np.where(present, values, 0).sum(0) / count
    spread = np.sqrt((np.where(present, values - mean, 0) ** 2).sum(0) / count)
    if not len(values):
        return mean, np.ones_like(mean)
    # A spread at the level of rounding is that of a constant column.
    varies = spread > 1e-9 * np.maximum(1, np.abs(mean))
    return mean, np.divide(1, spread, out=np.zeros_like(spread), where=varies)
