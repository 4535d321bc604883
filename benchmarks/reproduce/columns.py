"""Columns that the tables of the reproduction share, as text."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from metabench.leaderboard.row import Row
from metabench.runs.record import Record


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What both tables say of a row of ours.

    Attributes:
        ours: Our mean, if the setting was run.
        ci95_low: Lower end of its 95 % interval.
        ci95_high: Upper end.
        ci_over: What the interval lets vary.
        examples: Meta-training examples seen, mean over seeds.
        train_seconds: Time in meta-training, mean over seeds.
        val_half: Score on meta-val after half the budget, mean over seeds.
        val_end: The same at its end. A large step between the two says that training was cut short.
        device: Where it was tested; a run that was interrupted may have been trained elsewhere too.
        accelerator: The model of the graphics processor, if it was one.
        precision: Of the arithmetic.
        seeds: Number of seeds.
        protocol_digest: SHA-256 of what the protocol fixes.
        episodes_digest: Equal digest, equal test episodes.
    """

    ours: str
    ci95_low: str
    ci95_high: str
    ci_over: str
    examples: str
    train_seconds: str
    val_half: str
    val_end: str
    device: str
    accelerator: str
    precision: str
    seeds: str
    protocol_digest: str
    episodes_digest: str


def write(path: Path, kind: type, rows: Iterable[object]) -> None:
    """Write a CSV of dataclass instances: a table's own fields, and then any of `Measured`."""
    shared = {field.name for field in fields(Measured)} if issubclass(kind, Measured) else set()
    names = sorted((field.name for field in fields(kind)), key=lambda name: name in shared)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(vars(row) for row in rows)


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
