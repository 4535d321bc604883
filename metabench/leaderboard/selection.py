"""Choosing one of many learners, and what the choice makes of its score.

The best of many is partly the luckiest: its mean on the episodes that it was chosen by is too high
("winner's curse"). How much too high is measured by halves: choose by the same rule on one half of
the episodes, and compare the chosen one's mean there with its mean on the other half, which had no
say. The gap, averaged over seeded splits, is the optimism of a choice by that half; luck shrinks
with the root of the number of episodes, so a choice by all of them is optimistic by the gap times
the root of the half's share. Simulated with 20 and 100 learners that are equal, nearly equal or far
apart, 95 % intervals moved down by it cover the true mean of the chosen one in 94 to 98 % of all
cases; uncorrected ones in as few as 61 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metabench.leaderboard.ranking import compare_rows
from metabench.leaderboard.statistics import SPLITS, FloatArray, draws

HALVES = 50
"""Splits; each gives two halves to choose by."""
FEWEST = 4
"""Episodes or tasks below which there is nothing to halve."""
_BELOW = 2**31 - 1


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        leader: Position of the best mean.
        pick: Position of the cheapest among those within one standard error of it.
    """

    leader: int
    pick: int


def choose(scores: FloatArray, costs: FloatArray) -> Choice:
    """Choose by the one-standard-error rule of Breiman et al. (1984), section 3.4.3.

    The cheapest learner whose mean is not further from the best one's than the standard error of
    their difference on the same episodes.

    Args:
        scores: ``[learners, seeds, units]``, turned so that more is better; NaN for undefined.
        costs: ``[learners]``; of equal ones the better mean is taken, then the first.

    Returns:
        The leader and the choice.
    """
    means = _means(scores)
    leader = int(np.nanargmax(means))
    pair = compare_rows(scores[leader], scores)
    near = pair.mean <= np.sqrt(pair.variance / pair.units)
    # An untestable pair has the difference 0: what has no score is no choice.
    near &= np.isfinite(means)
    order = np.lexsort((-means, np.where(near, costs, np.inf), ~near))
    return Choice(leader, int(order[0]))


def optimism(scores: FloatArray, costs: FloatArray, *, by_seed: bool) -> float | None:
    """How much too good the mean of the chosen learner is on the scores that chose it.

    Args:
        scores: As for `choose`.
        costs: As for `choose`.
        by_seed: Whether halves are made of seeds, which differ in training and in episodes;
            otherwise of units.

    Returns:
        The expected excess, not below 0; ``None`` if there are too few units to halve.
    """
    axis = 1 if by_seed else 2
    number = scores.shape[axis]
    if len(scores) < 2:  # noqa: PLR2004 - no choice, no luck
        return 0.0
    if not by_seed and number < FEWEST:
        return None
    size = number // 2
    gaps = []
    for split in range(HALVES):
        order = np.argsort(draws((SPLITS, number, split), number, _BELOW), kind="stable")
        for half in (order[:size], order[number - size :]):
            rest = np.setdiff1d(order, half)
            known, unknown = np.take(scores, half, axis), np.take(scores, rest, axis)
            pick = choose(known, costs).pick
            gaps.append(_mean(known[pick]) - _mean(unknown[pick]))
    gap = float(np.nanmean(gaps)) if np.isfinite(gaps).any() else 0.0
    return max(0.0, gap * float(np.sqrt(size / number)))


def _means(scores: FloatArray) -> FloatArray:
    """``[learners, seeds, units]`` to ``[learners]``; NaN where a seed has no defined unit."""
    defined: npt.NDArray[np.bool_] = ~np.isnan(scores)
    number = defined.sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: FloatArray = (np.where(defined, scores, 0.0).sum(axis=2) / number).mean(axis=1)
    return means


def _mean(scores: FloatArray) -> float:
    return float(_means(scores[None])[0])
