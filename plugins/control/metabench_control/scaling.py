"""Constants by which a source scales what it delivers, fitted on meta-train examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scaling:
    """A shift and a scale of each column.

    Attributes:
        mean: ``[d]``.
        scale: ``[d]`` standard deviation; 1 for a column that does not vary.
    """

    mean: Floats
    scale: Floats

    @classmethod
    def fitted(cls, rows: Floats) -> Scaling:
        """Fit on the meta-train rows ``[n, d]``."""
        mean, scale = rows.mean(0), rows.std(0)
        still = scale <= 1e-12 * np.maximum(1.0, np.abs(mean))
        return cls(mean, np.where(still, 1.0, scale))

    def __call__(self, rows: Floats) -> Floats32:
        """Scale rows ``[n, d]``."""
        return ((rows - self.mean) / self.scale).astype(np.float32)
