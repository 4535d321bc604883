"""Columns that the tables of the reproduction share, as text."""

from __future__ import annotations

from metabench.leaderboard.row import Row
from metabench.runs.record import Record


def measured(row: Row | None, unit: float) -> dict[str, str]:
    """Return the columns that a row of a leaderboard fills; empty ones for ``None``."""
    names = ("ours", "ci95_low", "ci95_high", "ci_over", "seeds", "protocol_digest")
    if row is None:
        return dict.fromkeys((*names, "episodes_digest"), "")
    digits = 2 if unit < 1 else 4
    numbers = {"ours": row.mean, "ci95_low": row.ci95_low, "ci95_high": row.ci95_high}
    return {
        **{
            name: "" if value is None else f"{value / unit:.{digits}f}"
            for name, value in numbers.items()
        },
        "ci_over": row.ci_over or "",
        "seeds": str(row.seeds),
        "protocol_digest": row.protocol_digest,
        "episodes_digest": row.episodes_digest,
    }


def costs(records: list[Record]) -> dict[str, str]:
    """Return the columns on what it cost and where it ran, mean over seeds."""
    if not records:
        names = ("examples", "train_seconds", "device", "accelerator", "precision")
        return dict.fromkeys(names, "")
    examples = sum(record.cost.examples_seen or 0 for record in records) / len(records)
    seconds = sum(record.cost.train_seconds or 0 for record in records) / len(records)
    return {
        "examples": f"{examples:.0f}",
        "train_seconds": f"{seconds:.0f}",
        "device": " + ".join(sorted({str(r.provenance.get("device", "")) for r in records})),
        "accelerator": " + ".join(
            sorted({str(r.provenance.get("accelerator", "")) for r in records} - {""})
        ),
        "precision": " + ".join(sorted({str(r.key_parts.get("precision", "")) for r in records})),
    }


def curve(records: list[Record], unit: float) -> dict[str, str]:
    """Return the score on meta-val halfway and at the end, where there was any training."""
    curves = [
        [score for *_, score in record.training["curve"] if score is not None]
        for record in records
        if record.training.get("curve")
    ]
    if not curves or not all(curves):
        return dict.fromkeys(("val_half", "val_end"), "")
    half = sum(curve[(len(curve) - 1) // 2] for curve in curves) / len(curves)
    end = sum(curve[-1] for curve in curves) / len(curves)
    digits = 2 if unit < 1 else 4
    return {"val_half": f"{half / unit:.{digits}f}", "val_end": f"{end / unit:.{digits}f}"}
