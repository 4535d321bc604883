"""Whether a record agrees with itself: key, digests, and every number from its scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from metabench.leaderboard.statistics import FloatArray
from metabench.runs.record import Record, digest_of

Arrays = Mapping[str, npt.NDArray[Any]]
Rescore = Callable[[Record, Arrays], Mapping[str, FloatArray]]
"""Computes per-episode scores from predictions: of the metric (``scores``) and of further ones."""

ROUNDING = 1e-9
"""Relative tolerance of a mean that is computed again from the same scores."""
PREDICTION_ROUNDING = 1e-4
"""Tolerance of a score that is computed again from predictions, which are kept in float32."""


def faults(record: Record, arrays: Arrays, rescore: Rescore | None = None) -> list[str]:
    """Compare everything in a record that follows from something else in it.

    Args:
        record: The record.
        arrays: What lies beside it; empty unless it is ``ok``.
        rescore: Computes scores from predictions.

    Returns:
        What does not agree, a line each; none for a sound record.
    """
    found = list(_digest_faults(record))
    if record.status == "ok":
        found += _score_faults(record, arrays)
        found += _prediction_faults(record, arrays, rescore)
    return found


def _digest_faults(record: Record) -> Iterator[str]:
    parts, cell = record.key_parts, record.cell
    if record.key != digest_of(parts):
        yield "its key is not the digest of its key parts"
    settings = record.provenance.get("protocol")
    if isinstance(settings, Mapping):
        own = {name: value for name, value in settings.items() if name != "name"}
        if digest_of(own) != cell.protocol_digest:
            yield f"its protocol's settings do not have the digest {cell.protocol_digest[:12]}"
    else:
        yield "it does not hold its protocol in full"
    expected = {
        "protocol": (parts.get("protocol"), cell.protocol_digest),
        "seed": (parts.get("seed"), cell.seed),
        "source": (_name(parts.get("source")), cell.source),
        "algorithm": (_name(parts.get("algorithm")), cell.algorithm),
        "encoder": (_name(parts.get("encoder")) or "none", cell.encoder),
        "metric": (_name(parts.get("metric")), cell.metric),
    }
    for what, (inside, told) in expected.items():
        if inside != told:
            yield f"its key is of the {what} {inside!r}, and it says {told!r}"


def _score_faults(record: Record, arrays: Arrays) -> Iterator[str]:
    scores = arrays["scores"].astype(np.float64)
    defined = ~np.isnan(scores)
    if not record.episodes_digest:
        yield "it has scores and no digest of its episodes"
    counts = (int(defined.sum()), int((~defined).sum()))
    if counts != (record.episodes, record.undefined_episodes):
        yield (
            f"it counts {record.episodes} episodes and {record.undefined_episodes} undefined ones, "
            f"and its scores are {counts[0]} and {counts[1]}"
        )
    mean = _mean(scores, arrays["units"])
    if record.mean is None or mean is None or not _close(record.mean, mean, ROUNDING):
        yield f"its mean is {record.mean}, and that of its scores is {mean}"
    for name, told in record.other_metrics.items():
        others = arrays.get(f"other.{name}")
        if others is None:  # of a subset of the tasks, which the source alone knows
            continue
        known = others[~np.isnan(others)]
        own = float(known.mean()) if known.size and np.isfinite(known).all() else None
        if (told is None) != (own is None) or (
            told is not None and own is not None and not _close(told, own, ROUNDING)
        ):
            yield f"its mean {name} is {told}, and that of its scores is {own}"


def _prediction_faults(record: Record, arrays: Arrays, rescore: Rescore | None) -> Iterator[str]:
    if rescore is None:
        return
    try:
        again = rescore(record, arrays)
    except (KeyError, ValueError, IndexError, RuntimeError, TypeError) as error:
        yield f"its predictions cannot be scored ({type(error).__name__}: {error})"
        return
    for name, scores in again.items():
        kept = arrays[name].astype(np.float64)
        if kept.shape != scores.shape:
            yield f"it has {len(kept)} scores ({name}) and predictions for {len(scores)} episodes"
            continue
        close = np.isclose(
            kept, scores, rtol=PREDICTION_ROUNDING, atol=PREDICTION_ROUNDING, equal_nan=True
        )
        if not close.all():
            first = int(np.flatnonzero(~close)[0])
            yield (
                f"{int((~close).sum())} of its {len(kept)} {name} do not follow from its "
                f"predictions; the first, of episode {first}, is {kept[first]:.6g} and would be "
                f"{scores[first]:.6g}"
            )


def _mean(scores: FloatArray, units: npt.NDArray[Any]) -> float | None:
    """Mean over the episodes, or over tasks of the mean over each one's draws."""
    defined = ~np.isnan(scores)
    if not defined.any():
        return None
    if not units.size:
        return float(scores[defined].mean())
    if units.shape != scores.shape:
        return None
    _, index = np.unique(units[defined], return_inverse=True)
    total = np.bincount(index, weights=scores[defined])
    return float((total / np.bincount(index)).mean())


def _close(told: float, own: float, tolerance: float) -> bool:
    return abs(told - own) <= tolerance * max(1.0, abs(own))


def _name(part: object) -> object:
    return part.get("name") if isinstance(part, Mapping) else None
