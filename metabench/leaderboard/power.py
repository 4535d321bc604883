"""How many more episodes or seeds a difference would need to show.

Assumed throughout: the difference and the spread that were observed are the true ones, units are
independent, and a two-sided paired t-test at 5 % is to find the difference in `POWER` of all cases
(Cohen, 1988, Statistical power analysis for the behavioral sciences, section 2.4). What is observed
is itself uncertain, with few seeds very much so, hence "about".
"""

from __future__ import annotations

import math
from collections.abc import Callable

from metabench.leaderboard.ranking import SIGNIFICANCE
from metabench.leaderboard.statistics import special

POWER = 0.8
MOST = 10**9
"""Differences that need more units than this are none."""
_NORMAL = 10_000
"""Degrees of freedom from which Student's t is as good as normal."""


def power(shift: float, degrees: float) -> float:
    """Chance that a two-sided t-test finds a shift.

    Args:
        shift: The true difference in standard errors.
        degrees: Degrees of freedom.

    Returns:
        The chance, by the noncentral t distribution.
    """
    functions = special()
    if degrees > _NORMAL:
        limit = float(functions.ndtri(1 - SIGNIFICANCE / 2))
        return float(functions.ndtr(shift - limit) + functions.ndtr(-shift - limit))
    limit = float(functions.stdtrit(degrees, 1 - SIGNIFICANCE / 2))
    below = float(functions.nctdtr(degrees, shift, limit))
    far_below = float(functions.nctdtr(degrees, shift, -limit))
    # scipy gives NaN where a probability is too small for its series.
    return (
        1.0 - (0.0 if math.isnan(below) else below) + (0.0 if math.isnan(far_below) else far_below)
    )


def units_needed(effect: float) -> int | None:
    """Fewest units, each of them with a difference of its own.

    Args:
        effect: The true difference in standard deviations of one unit's.

    Returns:
        Their number, or ``None`` above `MOST`.
    """
    size = abs(effect)
    return _fewest(lambda units: power(size * math.sqrt(units), units - 1))


def episodes_needed(difference: float, *, seed: float, episode: float, seeds: int) -> int | None:
    """Fewest episodes per seed, with the seeds at hand.

    Args:
        difference: The true difference.
        seed: Variance of the difference that training brings.
        episode: Variance of an episode's difference around its seed's.
        seeds: Number of seeds, two or more.

    Returns:
        Their number, or ``None`` if no number of episodes would do.
    """

    def found(episodes: int) -> float:
        error = math.sqrt((seed + episode / episodes) / seeds)
        return power(abs(difference) / error, seeds - 1) if error > 0 else 1.0

    return _fewest(found)


def detectable(error: float, degrees: float) -> float:
    """Smallest difference that a test with this standard error finds in `POWER` of all cases."""
    low, high = 0.0, 1.0
    while power(high, degrees) < POWER:
        high *= 2
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle, degrees) < POWER else (low, middle)
    return high * error


def _fewest(found: Callable[[int], float]) -> int | None:
    low, high = 1, 2
    while found(high) < POWER:
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if found(middle) < POWER else (low, middle)
    return high
