"""Sentences of the pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from metabench import __version__
from metabench.leaderboard.text import one_line

if TYPE_CHECKING:
    from metabench.leaderboard.tables import Entry

shown = lru_cache(maxsize=100_000)(one_line)
"""`one_line`, remembered: the same names and versions stand in every row."""

_DATE = len("2026-01-01")


def summary(entries: Sequence[Entry]) -> str:
    """Say how much a table holds, and what is missing from it."""
    rows = [entry.row for entry in entries]
    counts = [
        (len({row.algorithm for row in rows}), "algorithm"),
        (len({(row.domain, row.source) for row in rows}), "source"),
        (len({row.encoder for row in rows if row.encoder != "none"}), "encoder"),
        (len({seed for e in entries for seed in _seeds(e)}), "seed"),
    ]
    cells = Counter(record.status for entry in entries for record in entry.evidence.records)
    total = sum(cells.values())
    held = ", ".join(f"{number:,} {status}" for status, number in cells.most_common())
    parts = ", ".join(f"{number:,} {word}{'s' * (number != 1)}" for number, word in counts)
    return f"{parts}. {total:,} cells: {held}." if total else "No cells yet."


def _seeds(entry: Entry) -> Iterable[int]:
    return (record.cell.seed for record in entry.evidence.records)


def messages_of(messages: Iterable[str], entries: Sequence[Entry]) -> list[str]:
    """Return the messages that speak of the sources of one domain."""
    sources = {entry.row.source for entry in entries}
    return [m for m in messages if any(m.startswith((f"{s} ", f"{s}/")) for s in sources)]


def date_line(entries: Iterable[Entry]) -> str:
    """Say when the newest record was made; no clock, so equal records make equal pages."""
    finished = [
        one_line(str(record.provenance.get("finished", "")))[:_DATE]
        for entry in entries
        for record in entry.evidence.records
    ]
    newest = max(finished, default="")
    return f"metabench {__version__}" + (f" · newest record of {newest}" if newest else "")
