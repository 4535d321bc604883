"""``digits``: scikit-learn's handwritten digits, 8 x 8, with ten classes for three splits."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits  # type: ignore[import-untyped]

from metabench.tasks.data import ClassPool, TaskData
from metabench.tasks.files import SourceContext

SPLITS = {"train": (0, 1, 2, 3), "val": (4, 5, 6), "test": (7, 8, 9)}
INK_LEVELS = 16


def digits(context: SourceContext) -> TaskData:
    """Load the digits that scikit-learn ships (Alpaydin & Kaynak, 1998, UCI).

    1,797 images of 8 x 8 pixels, whose ink of 0 to 16 is scaled to 0 to 255; nothing is resized.
    The split is ours: 0 to 3 train, 4 to 6 validate, 7 to 9 test. The writers are not known.

    Args:
        context: Unused; the data come with scikit-learn.

    Returns:
        ``pixels`` ``[1797, 1, 8, 8]`` with ink = 255.
    """
    del context
    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / INK_LEVELS)).astype(np.uint8)[:, np.newaxis]
    splits = {
        split: ClassPool.from_labels(bunch.target, {digit: str(digit) for digit in members})
        for split, members in SPLITS.items()
    }
    return TaskData("image", {"pixels": torch.from_numpy(pixels)}, splits)
