"""Intervals: Student's t over episodes, and the hierarchical bootstrap over seeds and episodes.

Every random draw comes from Philox under one constant, so an interval depends on the scores alone:
not on names, on the order of rows, on the numpy version's distributions, or on other rows.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CONFIDENCE = 0.95
REPLICATES = 2_000
BATCH = 128
"""Rows resampled at once; bounds the memory."""
_KEY = 0x6D657461
_CHUNK = 250
_WEIGHTS = 4_000_000
"""Most bootstrap weights held as floating point at once; bounds the memory."""
_LARGEST = 1e100

SEEDS, EPISODES, DOMAINS, SOURCES, RESAMPLES, SPLITS = range(1, 7)
"""What is drawn; each has random numbers of its own."""


def draws(stream: tuple[int, int, int], size: int, below: int) -> IntArray:
    """Draw ``size`` integers from ``range(below)``, always the same ones for the same stream.

    Args:
        stream: What is drawn, and two numbers under 2**32 that tell its draws apart.
        size: How many.
        below: The upper end, excluded; under 2**31.
    """
    key = _KEY
    for part in stream:
        key = (key << 32) | part
    # Raw output is stable across numpy releases, which the distributions are not.
    raw: npt.NDArray[np.uint64] = np.random.Philox(key=key).random_raw(size)
    return ((raw >> np.uint64(33)) * np.uint64(below) >> np.uint64(31)).astype(np.int64)


def usable(scores: FloatArray) -> bool:
    """Whether no score is infinite or so large that its square overflows."""
    return bool(np.all(np.isnan(scores) | (np.abs(scores) < _LARGEST)))


def mean_over_seeds(scores: FloatArray) -> float | None:
    """Average ``[seeds, episodes]``: the mean over seeds of the mean over defined episodes.

    Returns:
        The mean, or ``None`` if a seed has no defined episode.
    """
    means = [row[~np.isnan(row)] for row in scores]
    if not means or any(row.size == 0 for row in means):
        return None
    return float(np.mean([row.mean() for row in means]))


def can_vary(scores: FloatArray) -> bool:
    """Whether each seed of ``[seeds, episodes]`` has two defined episodes: no interval without."""
    return bool(scores.size and ((~np.isnan(scores)).sum(axis=1) > 1).all())


def t_interval(scores: FloatArray) -> tuple[float, float] | None:
    """Student's t interval of a mean.

    Args:
        scores: ``[episodes]``; NaN is left out.

    Returns:
        Both ends, equal if every score is the same; ``None`` with fewer than two scores.
    """
    defined = scores[~np.isnan(scores)]
    if defined.size < 2:  # noqa: PLR2004 - one score says nothing of its spread
        return None
    quantile = float(special().stdtrit(defined.size - 1, (1 + CONFIDENCE) / 2))
    mean = float(defined.mean())
    half = quantile * float(defined.std(ddof=1)) / float(np.sqrt(defined.size))
    return mean - half, mean + half


def bootstrap_means(stack: FloatArray) -> FloatArray:
    """Resample seeds, and within each drawn seed its episodes; average as `mean_over_seeds` does.

    With one seed this is the plain bootstrap over episodes. All rows of a stack meet the same
    resamples, so rows on the same episodes stay paired.

    Args:
        stack: ``[rows, seeds, episodes]``; NaN is left out, and resampled with the rest.

    Returns:
        ``[rows, REPLICATES]``; NaN where a resample has no defined episode.
    """
    rows, seeds, episodes = stack.shape
    defined = ~np.isnan(stack)
    complete = bool(defined.all())
    values = np.where(defined, stack, 0.0)
    total = np.zeros((rows, REPLICATES))
    for slot in range(seeds):
        counts = _episode_counts(episodes, slot)
        picks = draws((SEEDS, seeds, slot), REPLICATES, seeds)
        for seed in range(seeds):
            (chosen,) = np.nonzero(picks == seed)
            parts = 1 + chosen.size * episodes // _WEIGHTS
            for part in np.array_split(chosen, parts):
                weights = counts[part].astype(np.float64)
                sums = values[:, seed] @ weights.T
                number = episodes if complete else defined[:, seed] @ weights.T
                with np.errstate(invalid="ignore"):
                    total[:, part] += sums / number
    averaged: FloatArray = total / seeds
    return averaged


def percentile_interval(replicates: FloatArray) -> tuple[float, float] | None:
    """The middle `CONFIDENCE` of a bootstrap distribution, or ``None`` if it is empty."""
    finite = replicates[~np.isnan(replicates)]
    if finite.size == 0:
        return None
    low, high = np.quantile(finite, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


@lru_cache(maxsize=8)
def _episode_counts(episodes: int, slot: int) -> npt.NDArray[np.uint16]:
    """How often each episode is drawn in each replicate: ``[REPLICATES, episodes]``."""
    counts = np.empty((REPLICATES, episodes), dtype=np.uint16)
    for start in range(0, REPLICATES, _CHUNK):
        index = draws((EPISODES, slot, start), _CHUNK * episodes, episodes)
        index += np.repeat(np.arange(_CHUNK) * episodes, episodes)
        counted = np.bincount(index, minlength=_CHUNK * episodes)
        counts[start : start + _CHUNK] = counted.reshape(_CHUNK, episodes)
    return counts


def special() -> Any:
    """Import scipy late: it takes half a second."""
    import scipy.special  # noqa: PLC0415

    return scipy.special


def student_two_sided(t: FloatArray, degrees: FloatArray) -> FloatArray:
    """Two-sided p-value of Student's t."""
    p: FloatArray = 2.0 * special().stdtr(degrees, -np.abs(t))
    return p


def normal_two_sided(z: FloatArray) -> FloatArray:
    """Two-sided p-value of a standard normal deviate."""
    p: FloatArray = 2.0 * special().ndtr(-np.abs(z))
    return p
