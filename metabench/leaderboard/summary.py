"""One source's share of the tables: its rows, ranked, and what else a build needs of its records.

A row is compared only with rows of its own source, so the share hangs on the source's records
alone, and tables are put together from shares. A share is small beside the records, and can be kept
on disk (`metabench.leaderboard.shares`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from metabench.leaderboard.audits import Audited, code_of
from metabench.leaderboard.evidence import Scored
from metabench.leaderboard.facts import Facts, facts_of
from metabench.leaderboard.row import COLUMNS, Row
from metabench.leaderboard.standing import BlockKey
from metabench.leaderboard.statistics import FloatArray
from metabench.leaderboard.tables import Entry, build_tables
from metabench.runs.record import Status

Json = dict[str, Any]
Blocks = Sequence[FloatArray]
"""Scores ``[rows, seeds, units]`` of each block."""


@dataclass(frozen=True, eq=False, slots=True)
class Kept:
    """A `metabench.leaderboard.standing.Standing` without the records that it was made from."""

    row: Row
    block: BlockKey | None
    policy: str
    statuses: tuple[Status, ...]
    cells: tuple[int, int]
    higher_is_better: bool
    plugins: tuple[tuple[str, str], ...]
    _place: tuple[int, int]
    _blocks: Callable[[], Blocks]

    @property
    def scores(self) -> FloatArray | None:
        """``[seeds, units]``; ``None`` if the row has no number."""
        if self.block is None:
            return None
        scores: FloatArray = self._blocks()[self._place[0]][self._place[1]]
        return scores


@dataclass(frozen=True, eq=False)
class Summary:
    """The rows of one source.

    Attributes:
        standings: The rows.
        messages: What a reader must know of them.
        facts: Of the records.
        codes: Digests of the algorithms that made them, if there are audits to be looked up.
    """

    standings: tuple[Kept, ...]
    messages: tuple[str, ...]
    facts: Facts
    codes: tuple[str, ...]


def summarise(scored: Iterable[Scored], audited: Audited) -> tuple[Json, list[FloatArray]]:
    """Reduce the records of one source to what tables need of them.

    Args:
        scored: The source's records, with their scores.
        audited: What audits found.

    Returns:
        Plain JSON types, and the scores of each block; `restore` makes a `Summary` of them.
    """
    tables = build_tables(scored, audited)
    blocks: dict[BlockKey, list[Entry]] = {}
    places = []
    for entry in tables.entries:
        if entry.block is None:
            places.append((-1, 0))
            continue
        members = blocks.setdefault(entry.block, [])
        places.append((list(blocks).index(entry.block), len(members)))
        members.append(entry)
    scores = [
        np.stack([e.scores for e in found if e.scores is not None]) for found in blocks.values()
    ]
    codes = {code_of(record) for record in tables.records} if audited else set()
    told = {
        "length": len(tables.entries),
        "rows": _columns([[getattr(row, name) for name in COLUMNS] for row in tables.rows]),
        "blocks": [asdict(key) for key in blocks],
        "places": places,
        "extras": _columns([_extras(entry) for entry in tables.entries]),
        "messages": tables.messages,
        "facts": facts_of(tables.records).kept(),
        "codes": sorted(codes),
    }
    return told, scores


def restore(told: Mapping[str, Any], blocks: Callable[[], Blocks]) -> Summary:
    """Return the summary that `summarise` has put into JSON types.

    Args:
        told: The JSON types.
        blocks: Gives the scores of each block; called only if they are needed.
    """
    keys = [BlockKey(**{**key, "lengths": tuple(key["lengths"])}) for key in told["blocks"]]
    rows = zip(*map(_column, told["rows"]), strict=True)
    extras = zip(*map(_column, told["extras"]), strict=True)
    known: dict[str, Any] = {}
    standings = []
    for row, (policy, statuses, ok, applicable, higher, plugins), place in zip(
        rows, extras, told["places"], strict=True
    ):
        if plugins not in known:
            known[plugins] = tuple((name, version) for name, version in json.loads(plugins))
        if statuses not in known:
            known[statuses] = tuple(statuses.split())
        standings.append(
            Kept(
                row=Row(*row),
                block=keys[place[0]] if place[0] >= 0 else None,
                policy=policy,
                statuses=known[statuses],
                cells=(ok, applicable),
                higher_is_better=higher,
                plugins=known[plugins],
                _place=(place[0], place[1]),
                _blocks=blocks,
            )
        )
    facts = Facts.restored(told["facts"])
    return Summary(tuple(standings), tuple(told["messages"]), facts, tuple(told["codes"]))


def _extras(entry: Entry) -> list[Any]:
    statuses, plugins = " ".join(entry.statuses), json.dumps(entry.plugins)
    return [entry.policy, statuses, *entry.cells, entry.higher_is_better, plugins]


def _columns(rows: Sequence[Sequence[Any]]) -> list[Any]:
    """Turn rows into columns; text, which repeats, is kept once per value."""
    found: list[Any] = []
    for values in zip(*rows, strict=True):
        if any(isinstance(value, str) for value in values):
            known = {value: number for number, value in enumerate(dict.fromkeys(values))}
            found.append({"values": list(known), "index": [known[value] for value in values]})
        else:
            found.append(list(values))
    return found


def _column(kept: Any) -> Sequence[Any]:
    if isinstance(kept, Mapping):
        values = kept["values"]
        return [values[number] for number in kept["index"]]
    columns: Sequence[Any] = kept
    return columns
