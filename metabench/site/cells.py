"""What the page of a row shows of its cells: scores, learning curves, cost and provenance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metabench.site.command import reproduce
from metabench.site.texts import shown

if TYPE_CHECKING:
    from metabench.leaderboard.statistics import FloatArray
    from metabench.leaderboard.tables import Entry
    from metabench.runs.record import Record

BINS = 24
_FENCE = 4.0
"""Scores further than this many interquartile ranges from the middle half are counted apart."""
_LONGEST_CURVE = 200

Json = dict[str, Any]


def cell_page(entry: Entry) -> Json:
    """Reduce what a row rests on to what its page shows, as plain JSON types."""
    records = entry.evidence.records
    first = records[0]
    return {
        "command": shown(reproduce(records)),
        "histogram": histogram(entry.evidence.scores),
        "unit": entry.evidence.unit,
        "seeds": [_seed(record, scores) for record, scores in _with_scores(entry)],
        "setup": plain(first.training.get("setup", {})),
        "hyperparameters": plain(first.training.get("hyperparameters", {})),
        "provenance": _shared([plain(record.provenance) for record in records]),
        "notes": sorted({shown(note) for record in records for note in record.notes}),
        "parts": {
            name: shown(str(_digest(first.key_parts.get(name))))
            for name in ("source", "encoder", "algorithm")
            if _digest(first.key_parts.get(name))
        },
    }


def histogram(scores: FloatArray | None) -> Json | None:
    """Count scores in equal bins.

    Args:
        scores: ``[seeds, units]``, NaN for undefined.

    Returns:
        Both ends, the counts, and how many lie outside; ``None`` without scores. Accuracies and
        other scores between 0 and 1 get bins from 0 to 1, so that pages can be compared.
    """
    if scores is None:
        return None
    values = scores[~np.isnan(scores)]
    if values.size == 0:
        return None
    low, high = _ends(values)
    counts, _ = np.histogram(values, bins=BINS, range=(low, high))
    return {
        "low": low,
        "high": high,
        "counts": counts.tolist(),
        "below": int((values < low).sum()),
        "above": int((values > high).sum()),
    }


def _ends(values: FloatArray) -> tuple[float, float]:
    if values.min() >= 0 and values.max() <= 1:
        return 0.0, 1.0
    q1, q3 = np.quantile(values, [0.25, 0.75])
    low = max(float(values.min()), float(q1 - _FENCE * (q3 - q1)))
    high = min(float(values.max()), float(q3 + _FENCE * (q3 - q1)))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _with_scores(entry: Entry) -> list[tuple[Record, FloatArray | None]]:
    return [(scored.record, scored.scores) for scored in entry.evidence.seeds]


def _seed(record: Record, scores: FloatArray | None) -> Json:
    cost = record.cost.model_dump(mode="json")
    failure = record.failure
    return {
        "seed": record.cell.seed,
        "status": record.status,
        "reason": shown(failure.reason) if failure else "",
        "mean": plain(record.mean),
        "deviation": _deviation(scores),
        "episodes": record.episodes,
        "undefined": record.undefined_episodes,
        "cost": cost,
        "curve": _curve(record.training.get("curve")),
        "best_step": plain(record.training.get("best_step")),
        "stopped": plain(record.training.get("stopped")),
        "finished": plain(record.provenance.get("finished")),
        "key": shown(record.key),
        "checksum": shown(record.checksum),
    }


def _deviation(scores: FloatArray | None) -> float | None:
    values = np.empty(0) if scores is None else scores[~np.isnan(scores)]
    return float(values.std(ddof=1)) if values.size > 1 else None


def _curve(curve: object) -> list[list[float | None]]:
    """Points of examples seen, training loss and meta-val score; evenly thinned if very many."""
    if not isinstance(curve, Sequence) or isinstance(curve, str):
        return []
    points = [
        [plain(value) if isinstance(value, int | float) else None for value in point[:3]]
        for point in curve
        if isinstance(point, Sequence) and not isinstance(point, str) and len(point) >= 3  # noqa: PLR2004
    ]
    step = math.ceil(len(points) / _LONGEST_CURVE) or 1
    return points[::step] + (points[-1:] if (len(points) - 1) % step else [])


def _digest(part: object) -> str:
    if not isinstance(part, Mapping):
        return ""
    return str(part.get("digest") or part.get("code") or "")


def _shared(all_provenance: Sequence[Any]) -> Any:
    """The first seed's, with every value that differs between seeds named."""
    first = dict(all_provenance[0])
    first.pop("protocol", None)
    for name in list(first):
        values = list(dict.fromkeys(str(other.get(name, "")) for other in all_provenance))
        if len(values) > 1:
            first[name] = " · ".join(values)
    protocol = all_provenance[0].get("protocol")
    return {**first, **({"protocol": protocol} if protocol else {})}


def plain(value: Any) -> Any:
    """Return plain JSON types: text on one line without invisible characters, finite numbers."""
    if isinstance(value, str):
        return shown(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {shown(str(name)): plain(inner) for name, inner in value.items()}
    if isinstance(value, Sequence):
        return [plain(inner) for inner in value]
    return shown(str(value))
