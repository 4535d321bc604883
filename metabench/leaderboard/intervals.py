"""The interval of every row: t over one seed's episodes, the bootstrap over several seeds."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from metabench.leaderboard.statistics import (
    BATCH,
    bootstrap_means,
    can_vary,
    percentile_interval,
    t_interval,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metabench.leaderboard.statistics import FloatArray

Interval = tuple[float, float]


def intervals(scores: Sequence[FloatArray | None]) -> list[Interval | None]:
    """Compute 95 % intervals of many rows; rows of equal shape are resampled together.

    Args:
        scores: Per row ``[seeds, units]`` with NaN for undefined, or ``None``.

    Returns:
        Both ends per row; ``None`` without scores, or where a seed has fewer than two defined
        ones. Equal ends say that every score was the same.
    """
    found: list[Interval | None] = [None] * len(scores)
    shapes: dict[tuple[int, ...], list[tuple[int, FloatArray]]] = defaultdict(list)
    for position, one in enumerate(scores):
        if one is None or not can_vary(one):
            continue
        if len(one) == 1:
            found[position] = t_interval(one[0])
        else:
            shapes[one.shape].append((position, one))
    for rows in shapes.values():
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            means = bootstrap_means(np.stack([one for _, one in part]))
            for (position, _), replicates in zip(part, means, strict=True):
                found[position] = percentile_interval(replicates)
    return found
