"""Which rows can be told apart: paired tests on the same episodes, Holm-corrected."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from metabench.leaderboard.statistics import FloatArray, student_two_sided

SIGNIFICANCE = 0.05
_NOISE = 1e-12
"""Differences below this share of the scores' size are rounding errors."""


def paired_tests(scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compare every two rows by the paired t-test on the episodes that both have.

    Where the difference is the same on every episode, the t-test is undefined; the exact
    sign-flip test stands in: p = 2^(1-n) for n episodes, so that six episodes are the fewest which
    can tell two rows apart, and equal scores have p = 1.

    Args:
        scores: ``[rows, episodes]`` with NaN for undefined.

    Returns:
        ``[rows, rows]`` mean difference (row minus column) and two-sided p-value.
    """
    rows = len(scores)
    difference = np.zeros((rows, rows))
    p_value = np.ones((rows, rows))
    if rows < 2 or scores.shape[1] == 0:  # noqa: PLR2004 - nothing to compare
        return difference, p_value
    size = np.max(np.abs(np.nan_to_num(scores)), axis=1)
    for row in range(rows - 1):
        others = slice(row + 1, rows)
        mean, p = _compare(scores[row] - scores[others], np.maximum(size[row], size[others]))
        difference[row, others], difference[others, row] = mean, -mean
        p_value[row, others] = p_value[others, row] = p
    return difference, p_value


def _compare(delta: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
    defined = ~np.isnan(delta)
    delta = np.where(defined, delta, 0.0)
    n = defined.sum(axis=1)
    several = n > 1
    count = np.maximum(n, 2).astype(np.float64)
    mean = delta.sum(axis=1) / count
    centred = np.where(defined, delta - mean[:, None], 0.0)
    deviation = np.sqrt((centred**2).sum(axis=1) / (count - 1))
    mean = np.where(several & (np.abs(mean) > _NOISE * size), mean, 0.0)
    constant = deviation <= _NOISE * size
    t = mean * np.sqrt(count) / np.where(constant, 1.0, deviation)
    p = np.where(constant, np.exp2(1 - count), student_two_sided(t, count - 1))
    return mean, np.where(several & (mean != 0), p, 1.0)


def holm(p_values: FloatArray) -> FloatArray:
    """Adjust p-values for their number: Holm (1979), A simple sequentially rejective procedure.

    Args:
        p_values: ``[tests]``.

    Returns:
        ``[tests]`` adjusted p-values, at most 1.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * factors))
    return adjusted


def rank_intervals(
    scores: FloatArray, *, higher_is_better: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rank rows as far as the tests allow.

    Args:
        scores: ``[rows, episodes]`` on the same episodes, NaN for undefined.
        higher_is_better: The metric's direction.

    Returns:
        Per row the best and the worst rank: one more than the number of rows significantly
        better, and the number of rows not significantly worse. Rows that cannot be told apart
        have overlapping ranges.
    """
    rows = len(scores)
    difference, p_value = paired_tests(scores)
    upper = np.triu_indices(rows, 1)
    adjusted = np.ones((rows, rows))
    adjusted[upper] = holm(p_value[upper])
    adjusted = np.minimum(adjusted, adjusted.T)
    gain = difference if higher_is_better else -difference
    beats = (adjusted < SIGNIFICANCE) & (gain > 0)
    low: npt.NDArray[np.int64] = 1 + beats.sum(axis=0)
    high: npt.NDArray[np.int64] = rows - beats.sum(axis=1)
    return low, high


def average_ranks(values: FloatArray, *, higher_is_better: bool) -> FloatArray:
    """Rank from 1 (best); equal values share the average of their ranks."""
    gain = values if higher_is_better else -values
    better = (gain[None, :] > gain[:, None]).sum(axis=1)
    equal = (gain[None, :] == gain[:, None]).sum(axis=1)
    ranks: FloatArray = 1.0 + better + (equal - 1) / 2
    return ranks
