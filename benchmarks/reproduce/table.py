"""Published numbers beside ours: one row per setting, from the records of a store."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from columns import Measured, costs, curve, measured

from metabench.leaderboard.evidence import Scored
from metabench.leaderboard.tables import build_tables

PUBLISHED = Path(__file__).parent / "published.csv"


@dataclass(frozen=True, kw_only=True)
class Comparison(Measured):
    """One published setting.

    Numbers are in the unit of the publication: accuracy in percent, gains in average precision as
    they are.

    Attributes:
        source: The source.
        way: Classes per episode.
        shot: Support examples per class; in task pools the support size.
        method: As its authors call it.
        metric: The metric.
        paper: The published number, if there is one.
        paper_by: Who published it.
        rerun: Numbers of independent reruns, joined by ``; ``.
        rerun_by: Whose they are.
        margin: How far ours may lie from the paper or from a rerun.
        verdict: ``within`` the paper's margin or, failing that, ``within a rerun's``; ``above``,
            ``below`` or ``between`` all of them; for want of a score the cell's status, or
            ``not run``.
        algorithm: The suite's variant.
        encoder: The encoder.
        ordered: ``yes`` if this row, of several of its method, stands for it in the order.
    """

    source: str
    way: str
    shot: str
    method: str
    metric: str
    paper: str
    paper_by: str
    rerun: str
    rerun_by: str
    margin: str
    verdict: str
    algorithm: str
    encoder: str
    ordered: str


def compare(scored: list[Scored]) -> list[Comparison]:
    """Put every published setting beside our records.

    Args:
        scored: Records of the suites, without those of experiments.

    Returns:
        One comparison per line of ``published.csv``, in its order.
    """
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        return [_compare(line, scored) for line in csv.DictReader(file)]


def _compare(line: dict[str, str], scored: list[Scored]) -> Comparison:
    found = list(_matching(line, scored))
    tables = build_tables(found).rows if found else ()
    row = tables[0] if len(tables) == 1 and tables[0].mean is not None else None
    unanswered = ", ".join(sorted({one.record.status for one in found})) or "not run"
    if len(tables) > 1:
        raise SystemExit(
            f"{line['source']} {line['way']}-way {line['shot']}-shot {line['ours']}: the store "
            "holds several protocols or source digests; remove the older records"
        )
    unit = float(line["unit"])
    return Comparison(
        **{name: line[name] for name in ("source", "way", "shot", "method", "metric")},
        **{name: line[name] for name in ("paper", "paper_by", "rerun", "rerun_by", "margin")},
        ordered=line["ordered"],
        algorithm=line["ours"],
        encoder=line["encoder"],
        verdict=unanswered if row is None else _verdict(line, _scaled(row.mean, unit)),
        **measured(row, unit),
        **costs([one.record for one in found] if row else []),
        **curve([one.record for one in found] if row else [], unit),
    )


def _matching(line: dict[str, str], scored: list[Scored]) -> Iterator[Scored]:
    for one in scored:
        cell = one.record.cell
        place = (cell.source, cell.way, cell.shot, cell.algorithm, cell.encoder)
        if place == tuple(line[name] for name in ("source", "way", "shot", "ours", "encoder")):
            yield one


def _scaled(value: float | None, unit: float) -> float:
    assert value is not None
    return value / unit


def _verdict(line: dict[str, str], ours: float) -> str:
    paper = [float(line["paper"])] if line["paper"] else []
    reruns = [float(text) for text in line["rerun"].split("; ") if text]
    margin = float(line["margin"])
    if any(abs(ours - other) <= margin for other in paper):
        return "within"
    if any(abs(ours - other) <= margin for other in reruns):
        return "within a rerun's"
    known = paper + reruns
    if not known:
        return "nothing to compare with"
    return "above" if ours > max(known) else "below" if ours < min(known) else "between"
