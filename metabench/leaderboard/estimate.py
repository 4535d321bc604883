"""A paired difference: how large, how sure, and what would make it surer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metabench.leaderboard.power import detectable, episodes_needed, units_needed
from metabench.leaderboard.ranking import NOISE, SIGNIFICANCE, Paired, compare_rows
from metabench.leaderboard.signed_rank import wilcoxon
from metabench.leaderboard.statistics import CONFIDENCE, FloatArray, mean_over_seeds, special

Sides = tuple[FloatArray, FloatArray]
"""Scores ``[seeds, episodes]`` of the first and the second, on the same episodes."""


@dataclass(frozen=True)
class Estimate:
    """A difference, positive where the first is better.

    Attributes:
        difference: Mean over seeds of the mean over episodes; over sources, their mean.
        ci95_low: Lower end of Student's interval; ``None`` with one unit.
        ci95_high: Upper end.
        p: Of the paired t-test over ``unit``.
        p_wilcoxon: Of the signed-rank test over ``wilcoxon_unit``. With several seeds that is
            episodes, which says something of the models as trained and not of training anew.
        effect: Cohen's d_z, the mean difference by the standard deviation of a unit's difference
            (Cohen, 1988, section 2.3.5; Lakens, 2013, equation 6), training included where there
            are several seeds; ``None`` if nothing varies.
        win_share: Share of the episodes or sources on which the first is better, ties half.
        unit: What varies: ``episodes``, ``tasks``, ``seeds`` or ``sources``.
        wilcoxon_unit: As ``unit``, for the signed-rank test.
        seeds: Number of seeds; over sources 0.
        units: Number of episodes, tasks or sources, over all seeds.
        detectable: The smallest difference that such data find in four cases of five.
        settled: Whether p is below 5 %.
        more_episodes: About how many episodes per seed would settle it, with the seeds at hand.
        more_seeds: About how many seeds would, with as many episodes each; ``None`` from one seed,
            which says nothing of training.
        more_sources: About how many sources would.
    """

    difference: float
    ci95_low: float | None
    ci95_high: float | None
    p: float
    p_wilcoxon: float
    effect: float | None
    win_share: float
    unit: str
    wilcoxon_unit: str
    seeds: int
    units: int
    detectable: float | None
    settled: bool
    more_episodes: int | None = None
    more_seeds: int | None = None
    more_sources: int | None = None


def estimate(sides: Sides, *, unit: str = "episodes") -> Estimate:
    """Estimate the difference on one source.

    Args:
        sides: Both sides' scores.
        unit: What varies within a seed: ``episodes`` or ``tasks``.

    Returns:
        The difference; over episodes with one seed, over seeds with several (`compare_rows`).
    """
    first, second = sides
    pair = compare_rows(first, second[None])
    delta = first - second
    delta = np.where(np.abs(delta) <= NOISE * _size(first, second), 0.0, delta)
    testable = bool(pair.testable[0])
    difference = float(pair.mean[0]) if testable else mean_over_seeds(delta) or 0.0
    known = delta[~np.isnan(delta)]
    seeds = len(first)
    count = max(1, round(known.size / seeds))
    settled = bool(pair.p_value[0] < SIGNIFICANCE)
    training, episode = _components(delta)
    open_question = testable and not settled and difference != 0
    more_episodes = more_seeds = None
    if open_question and seeds > 1:
        more_episodes = episodes_needed(difference, seed=training, episode=episode, seeds=seeds)
        more_seeds = units_needed(difference / float(np.sqrt(pair.variance[0])))
    elif open_question:
        more_episodes = units_needed(difference / float(np.sqrt(pair.variance[0])))
    deviation = float(np.sqrt(training + episode))
    low, high, found = _interval(pair)
    return Estimate(
        difference=difference,
        ci95_low=low,
        ci95_high=high,
        detectable=found,
        p=float(pair.p_value[0]),
        p_wilcoxon=wilcoxon(known),
        effect=difference / deviation if deviation > 0 else None,
        win_share=_wins(known),
        unit=unit if seeds == 1 else "seeds",
        wilcoxon_unit=unit,
        seeds=seeds,
        units=int(known.size),
        settled=settled,
        more_episodes=more_episodes and max(more_episodes, count + 1),
        more_seeds=more_seeds and max(more_seeds, seeds + 1),
    )


def estimate_sources(differences: Sequence[float]) -> Estimate:
    """Estimate the difference over sources, each of which counts once.

    Args:
        differences: The normalised difference per source.

    Returns:
        The mean difference, over sources.
    """
    values = np.array(differences, dtype=np.float64)
    pair = compare_rows(values[None], np.zeros((1, 1, values.size)))
    difference = float(values.mean())
    deviation = float(np.sqrt(pair.variance[0]))
    settled = bool(pair.p_value[0] < SIGNIFICANCE)
    effect = difference / deviation if deviation > 0 else None
    low, high, found = _interval(pair)
    more = None if settled or not effect else units_needed(effect)
    return Estimate(
        difference=difference,
        ci95_low=low,
        ci95_high=high,
        detectable=found,
        p=float(pair.p_value[0]),
        p_wilcoxon=wilcoxon(values),
        effect=effect,
        win_share=_wins(values),
        unit="sources",
        wilcoxon_unit="sources",
        seeds=0,
        units=values.size,
        settled=settled,
        more_sources=more and max(more, values.size + 1),
    )


def _size(first: FloatArray, second: FloatArray) -> float:
    return float(max(np.max(np.abs(np.nan_to_num(side)), initial=0.0) for side in (first, second)))


def _components(delta: FloatArray) -> tuple[float, float]:
    """Variance that training brings, and that of an episode around its seed's mean."""
    counts = (~np.isnan(delta)).sum(axis=1)
    if (counts == 0).any():
        return 0.0, 0.0
    means = np.nanmean(delta, axis=1)
    squares = np.nansum((delta - means[:, None]) ** 2, axis=1)
    spread = squares / np.maximum(counts - 1, 1)
    if len(delta) == 1:
        return 0.0, float(spread[0])
    between = float(means.var(ddof=1))
    return max(0.0, between - float((spread / counts).mean())), float(spread.mean())


def _interval(pair: Paired) -> tuple[float | None, float | None, float | None]:
    """Both ends of Student's interval, and what the test could have found."""
    if not pair.testable[0]:
        return None, None, None
    mean, degrees = float(pair.mean[0]), float(pair.degrees[0])
    error = float(np.sqrt(pair.variance[0] / pair.units[0]))
    half = float(special().stdtrit(degrees, (1 + CONFIDENCE) / 2)) * error
    return mean - half, mean + half, detectable(error, degrees)


def _wins(differences: FloatArray) -> float:
    if not differences.size:
        return 0.5
    return float(((differences > 0) + (differences == 0) / 2).mean())
