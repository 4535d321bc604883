"""Experiments on why a row lies outside the margin: one recipe against another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from columns import Measured, costs, curve, measured

from metabench.leaderboard.estimate import estimate
from metabench.leaderboard.evidence import Scored
from metabench.leaderboard.tables import Entry, build_tables

PROTOCOLS = "omniglot-why-"
"""How the names of their protocols begin: with their suite's."""

UNIT = 0.01
"""Accuracies are printed in percent."""


@dataclass(frozen=True, kw_only=True)
class Experiment(Measured):
    """One variant, and its difference to another one on the same test episodes.

    Attributes:
        source: The source.
        way: Classes per episode.
        shot: Support examples per class.
        algorithm: The suite's variant.
        encoder: The encoder.
        against: The other variant, if there is one.
        difference: To it, in the unit of ``ours``.
        difference_low: Lower end of its 95 % interval over episodes.
        difference_high: Upper end.
    """

    source: str
    way: str
    shot: str
    algorithm: str
    encoder: str
    against: str
    difference: str
    difference_low: str
    difference_high: str


def is_experiment(scored: Scored) -> bool:
    """Whether a record is of a suite of experiments."""
    return scored.record.cell.protocol.startswith(PROTOCOLS)


def experiments(scored: Iterable[Scored], against: Mapping[str, str]) -> Iterator[Experiment]:
    """Yield one row per variant, by source, way, shot and name.

    Args:
        scored: Records of experiments.
        against: Variants, and with which other one each is compared.
    """
    rows = {_place(e): e for e in build_tables(scored).entries if e.scores is not None}
    for (*place, name), entry in sorted(rows.items(), key=lambda item: item[0]):
        cell, records = entry.evidence.cell, list(entry.evidence.records)
        other = against.get(name, "")
        yield Experiment(
            source=cell.source,
            way=cell.way,
            shot=cell.shot,
            algorithm=cell.algorithm,
            encoder=cell.encoder,
            against=other,
            **_difference(entry, rows.get((*place, other))),
            **measured(entry.row, UNIT),
            **costs(records),
            **curve(records, UNIT),
        )


def _place(entry: Entry) -> tuple[str | int, ...]:
    cell = entry.evidence.cell
    return (cell.source, int(cell.way), int(cell.shot), cell.algorithm)


def _difference(entry: Entry, other: Entry | None) -> dict[str, str]:
    names = ("difference", "difference_low", "difference_high")
    if other is None:
        return dict.fromkeys(names, "")
    assert entry.scores is not None
    assert other.scores is not None
    found = estimate((entry.scores, other.scores))
    numbers = (found.difference, found.ci95_low, found.ci95_high)
    return {
        name: "" if number is None else f"{number / UNIT:.2f}"
        for name, number in zip(names, numbers, strict=True)
    }
