"""The signed-rank test: Wilcoxon (1945), Individual comparisons by ranking methods."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from metabench.leaderboard.statistics import FloatArray, normal_two_sided

MOST_EXACT = 50
"""More differences than these are close enough to normal."""
_DIGITS = 12


def wilcoxon(differences: FloatArray) -> float:
    """Test whether paired differences lie symmetrically about zero.

    Equal sizes share the mean of their ranks. Zeros are left out, as Wilcoxon does. Up to
    `MOST_EXACT` differences the distribution is exact, given the ties: every sign is as likely as
    its opposite. With more it is the normal one with the variance corrected for ties.

    Args:
        differences: ``[pairs]``; NaN is left out.

    Returns:
        The two-sided p-value; 1 if nothing differs.
    """
    known = differences[~np.isnan(differences)]
    size = np.max(np.abs(known), initial=0.0)
    if not 0 < size < np.inf:
        return 1.0
    # Differences that are equal but for rounding must tie.
    known = np.round(known / size, _DIGITS)
    known = known[known != 0]
    _, index, counts = np.unique(np.abs(known), return_inverse=True, return_counts=True)
    # Twice the mean rank of each group of ties, which is whole.
    doubled = (2 * np.cumsum(counts) - counts + 1)[index]
    positive = int(doubled[known > 0].sum())
    if known.size > MOST_EXACT:
        centre = doubled.sum() / 2
        deviation = float(np.sqrt((doubled.astype(np.float64) ** 2).sum() / 4))
        return float(normal_two_sided(np.array((positive - centre) / deviation)))
    ways = _ways(tuple(sorted(doubled.tolist())))
    tail = min(ways[: positive + 1].sum(), ways[positive:].sum())
    return float(min(1.0, 2 * tail))


@lru_cache(maxsize=256)
def _ways(ranks: tuple[int, ...]) -> FloatArray:
    """Return the chance of each sum of the ranks of positive differences, if every sign is luck."""
    ways = np.ones(1)
    for rank in ranks:
        longer = np.zeros(ways.size + rank)
        longer[: ways.size] += ways / 2
        longer[rank:] += ways / 2
        ways = longer
    return ways
