"""Variances of many comparisons from few seeds each, made steadier by what they have in common.

Three seeds give a variance with two degrees of freedom, on which no corrected test can stand.
Smyth (2004), Linear models and empirical Bayes methods for assessing differential expression,
section 6: the true variances are taken to follow a scaled inverse chi-squared distribution, whose
two parameters are estimated from all comparisons, and each variance is drawn towards it, the less
the more the variances differ.
"""

from __future__ import annotations

import numpy as np

from metabench.leaderboard.statistics import FloatArray, special

_FEWEST = 2
_STEPS = 50


def moderate(variance: FloatArray, degrees: int, *, limit: int) -> tuple[FloatArray, FloatArray]:
    """Draw variances towards their common distribution.

    Args:
        variance: ``[comparisons]``; zero where nothing varies, which says nothing about the rest.
        degrees: Degrees of freedom of each.
        limit: Most degrees of freedom that the data can give: those of all rows and seeds
            together, (rows - 1)(seeds - 1). Comparisons share rows, so there are fewer than their
            number suggests.

    Returns:
        The larger of each variance and its moderated value (Smyth's section 3.1), and their degrees
        of freedom.
    """
    known = variance[variance > 0]
    if known.size < _FEWEST or limit <= degrees:
        return variance, np.full(variance.shape, float(degrees))
    prior, prior_degrees = _prior(known, degrees)
    prior_degrees = min(prior_degrees, float(limit - degrees))
    total = prior_degrees + degrees
    moderated = (prior_degrees * prior + degrees * variance) / total
    return np.maximum(moderated, variance), np.full(variance.shape, total)


def _prior(variance: FloatArray, degrees: int) -> tuple[float, float]:
    """Fit location and degrees of freedom by the moments of the log variances (section 6.2)."""
    special_functions = special()
    half = degrees / 2
    logs = np.log(variance) - special_functions.digamma(half) + np.log(half)
    excess = float(logs.var(ddof=1) - special_functions.polygamma(1, half))
    if excess <= 0:
        return float(np.exp(logs.mean())), float("inf")
    half_prior = _inverse_trigamma(excess)
    location = logs.mean() + special_functions.digamma(half_prior) - np.log(half_prior)
    return float(np.exp(location)), 2 * half_prior


def _inverse_trigamma(value: float) -> float:
    """Newton's iteration of Smyth's appendix, which climbs to the solution from below."""
    polygamma = special().polygamma
    x = 0.5 + 1 / value
    for _ in range(_STEPS):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-10 * x:
            break
    return x
