"""Experiments on why a row lies outside the margin: one setting changed at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from columns import costs, curve, measured

from metabench.leaderboard.estimate import estimate
from metabench.leaderboard.tables import Entry, build_tables
from metabench.runs.store import Store

PROTOCOLS = "omniglot-why-"
"""How the names of their protocols begin: with their suite's."""

UNIT = 0.01
"""Accuracies are printed in percent."""


@dataclass(frozen=True)
class Experiment:
    """One variant; the fields are the columns of the CSV, in order.

    They are those of `table.Comparison`, and the difference to another variant on the same test
    episodes, in the same unit, with its 95 % interval over episodes.
    """

    source: str
    way: str
    shot: str
    algorithm: str
    encoder: str
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
    against: str
    difference: str
    difference_low: str
    difference_high: str


def experiments(store: Store, against: Mapping[str, str]) -> Iterator[Experiment]:
    """Yield what the store holds of experiments, by source, way, shot and name.

    Args:
        store: The store.
        against: Variants, and with which other one each is compared.
    """
    found = [one for one in store.scan_scored() if one.record.cell.protocol.startswith(PROTOCOLS)]
    rows = {
        (cell.source, int(cell.way), int(cell.shot), cell.algorithm): entry
        for entry in build_tables(found).entries
        for cell in [entry.evidence.cell]
        if entry.scores is not None
    }
    for (*place, name), entry in sorted(rows.items(), key=lambda item: item[0]):
        cell, records = entry.evidence.cell, list(entry.evidence.records)
        other = against.get(name, "")
        yield Experiment(
            *(cell.source, cell.way, cell.shot, cell.algorithm, cell.encoder),
            **measured(entry.row, UNIT),
            **costs(records),
            **curve(records, UNIT),
            against=other,
            **_difference(entry, rows.get((*place, other))),
        )


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
