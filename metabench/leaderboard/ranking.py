"""Which rows can be told apart: paired tests on the same episodes, Holm-corrected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metabench.leaderboard.moderation import moderate
from metabench.leaderboard.statistics import FloatArray, student_two_sided

SIGNIFICANCE = 0.05
NOISE = 1e-12
"""Differences below this share of the scores' size are rounding errors."""


@dataclass(frozen=True, eq=False)
class Paired:
    """What pairs of rows give on the episodes that both have; one value per pair.

    Attributes:
        mean: Mean over seeds of the mean difference; 0 where nothing can be said.
        variance: Variance of one unit's difference: an episode's with one seed, a seed's mean with
            several, where it is at least what the episodes alone would give.
        units: Number of episodes, or of seeds.
        degrees: Degrees of freedom of the variance.
        testable: Whether there are two units or more, and every seed has a shared episode.
    """

    mean: FloatArray
    variance: FloatArray
    units: FloatArray
    degrees: FloatArray
    testable: npt.NDArray[np.bool_]

    @property
    def p_value(self) -> FloatArray:
        """Two-sided p-value of the paired t-test.

        Where all units differ by the same, the t-test is undefined; the exact sign-flip test
        stands in: p = 2^(1-n) for n units, so that six are the fewest which can tell two rows
        apart.
        """
        constant = self.variance == 0
        t = self.mean * np.sqrt(self.units / np.where(constant, 1.0, self.variance))
        p = np.where(constant, np.exp2(1 - self.units), student_two_sided(t, self.degrees))
        return np.where(self.testable & (self.mean != 0), p, 1.0)


def compare_rows(one: FloatArray, others: FloatArray) -> Paired:
    """Pair one row with others.

    Args:
        one: ``[seeds, episodes]``, NaN for undefined.
        others: ``[rows, seeds, episodes]`` on the same episodes.

    Returns:
        One pair per other row; the difference is ``one`` minus the other.
    """
    seeds = one.shape[0]
    size = np.maximum(_size(one[None]), _size(others))
    delta = one - others
    defined = ~np.isnan(delta)
    delta = np.where(defined, delta, 0.0)
    n = defined.sum(axis=2).astype(np.float64)
    count = np.maximum(n, 1.0)
    means = delta.sum(axis=2) / count
    squares = (np.where(defined, delta - means[..., None], 0.0) ** 2).sum(axis=2)
    spread = squares / np.maximum(n - 1, 1.0)
    mean = means.mean(axis=1)
    if seeds == 1:
        variance, units, testable = spread[:, 0], n[:, 0], n[:, 0] > 1
    else:
        # Luck makes few seeds agree; they cannot do so better than their episodes allow.
        variance = np.maximum(means.var(axis=1, ddof=1), (spread / count).mean(axis=1))
        units, testable = np.full(len(mean), float(seeds)), (n > 0).all(axis=1)
    return Paired(
        mean=np.where(testable & (np.abs(mean) > NOISE * size), mean, 0.0),
        variance=np.where(variance <= (NOISE * size) ** 2, 0.0, variance),
        units=np.maximum(units, 2.0),
        degrees=np.maximum(units - 1, 1.0),
        testable=testable,
    )


def paired_tests(scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compare every two rows on the episodes that both have.

    With one seed by the paired t-test over episodes. With several, training varies as well and a
    seed is the unit: the t-test is over the seeds' mean differences, their variance moderated over
    all pairs (`moderate`), since two or three seeds alone say little of it.

    Args:
        scores: ``[rows, seeds, episodes]`` with NaN for undefined; ``[rows, episodes]`` for one
            seed.

    Returns:
        ``[rows, rows]`` mean difference (row minus column) and two-sided p-value.
    """
    stack = scores[:, None] if scores.ndim == 2 else scores  # noqa: PLR2004 - no axis of seeds
    rows, seeds, episodes = stack.shape
    difference = np.zeros((rows, rows))
    p_value = np.ones((rows, rows))
    if rows < 2 or not seeds or not episodes:  # noqa: PLR2004 - nothing to compare
        return difference, p_value
    upper = np.triu_indices(rows, 1)
    found = _joined([compare_rows(stack[row], stack[row + 1 :]) for row in range(rows - 1)])
    if seeds > 1:
        variance, degrees = moderate(found.variance, seeds - 1, limit=(rows - 1) * (seeds - 1))
        found = Paired(found.mean, variance, found.units, degrees, found.testable)
    difference[upper] = found.mean
    difference -= difference.T
    p_value[upper] = found.p_value
    return difference, np.minimum(p_value, p_value.T)


def _size(stack: FloatArray) -> FloatArray:
    size: FloatArray = np.max(np.abs(np.nan_to_num(stack)), axis=(1, 2), initial=0.0)
    return size


def _joined(parts: list[Paired]) -> Paired:
    return Paired(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("mean", "variance", "units", "degrees", "testable")
        )
    )


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
        scores: ``[rows, seeds, episodes]`` on the same episodes, NaN for undefined;
            ``[rows, episodes]`` for one seed.
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
