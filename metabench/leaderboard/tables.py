"""Records reduced to tables whose rows can be compared, and a word where they cannot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from metabench.leaderboard.audits import Audited
from metabench.leaderboard.diff import describe_difference
from metabench.leaderboard.evidence import Evidence, Scored, gather
from metabench.leaderboard.intervals import intervals
from metabench.leaderboard.ranking import rank_intervals
from metabench.leaderboard.row import Row, row_of
from metabench.leaderboard.standing import BlockKey, Standings, order_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from metabench.leaderboard.statistics import FloatArray
    from metabench.runs.record import Record, Status

__all__ = ["BlockKey", "Entry", "Scored", "Tables", "build_tables"]


@dataclass(frozen=True, eq=False)
class Entry:
    """A row and what it rests on.

    Attributes:
        row: The published row.
        evidence: Records and scores of its seeds.
        block: The rows it is ranked among; ``None`` if it has no number.
    """

    row: Row
    evidence: Evidence
    block: BlockKey | None

    @property
    def policy(self) -> str:
        """The policy of its encoder."""
        return self.evidence.cell.encoder_policy

    @property
    def statuses(self) -> tuple[Status, ...]:
        """How each seed ended."""
        return tuple(record.status for record in self.evidence.records)

    @property
    def cells(self) -> tuple[int, int]:
        """Number of cells with a number, and of cells that count as applicable."""
        return self.evidence.cells

    @property
    def higher_is_better(self) -> bool:
        """The metric's direction."""
        return self.evidence.higher_is_better

    @property
    def plugins(self) -> tuple[tuple[str, str], ...]:
        """The distributions that provided the algorithm, with their versions."""
        cells = [record.cell for record in self.evidence.records]
        return tuple(sorted({(cell.plugin, cell.plugin_version) for cell in cells}))

    @property
    def scores(self) -> FloatArray | None:
        """``[seeds, units]``; ``None`` if the row has no number."""
        return self.evidence.scores


@dataclass(frozen=True, eq=False)
class Tables(Standings):
    """All rows of a run, with all that they rest on."""

    entries: tuple[Entry, ...]

    @property
    def records(self) -> Iterator[Record]:
        """Every record that a row rests on."""
        return (record for entry in self.entries for record in entry.evidence.records)


def build_tables(scored: Iterable[Scored], audited: Audited | None = None) -> Tables:
    """Reduce records to ranked rows.

    Rows are ranked only among rows of equal source, protocol digest and episodes digest; where a
    source has several of them under one protocol name, they stand in separate blocks.

    Args:
        scored: Every planned cell's record, in any order.
        audited: What audits found of the algorithms.

    Returns:
        One row per (domain, source, protocol digest, encoder, algorithm).
    """
    evidence, messages = gather(scored)
    found = intervals([piece.scores for piece in evidence])
    rows = [row_of(*pair) for pair in zip(evidence, found, strict=True)]
    if audited is not None:
        rows = [audited.mark(row, e.records) for row, e in zip(rows, evidence, strict=True)]
    entries = [_entry(*pair) for pair in zip(rows, evidence, strict=True)]
    blocks: dict[BlockKey, list[int]] = defaultdict(list)
    for position, entry in enumerate(entries):
        if entry.block is not None:
            blocks[entry.block].append(position)
    for members in blocks.values():
        scores = np.stack([_scores(entries[position]) for position in members])
        better = entries[members[0]].evidence.higher_is_better
        low, high = rank_intervals(scores, higher_is_better=better)
        for position, first, last in zip(members, low.tolist(), high.tolist(), strict=True):
            entry = entries[position]
            entries[position] = replace(entry, row=entry.row.ranked(first, last))
        messages.extend(_undefined_differ(entries[members[0]].row, scores))
        messages.extend(_undefined(entries[members[0]]))
    messages.extend(_ranked_apart(entries))
    return Tables(tuple(sorted(entries, key=order_of)), tuple(sorted(set(messages))))


def _entry(row: Row, evidence: Evidence) -> Entry:
    if row.mean is None:
        return Entry(row, evidence, None)
    key = BlockKey(
        domain=row.domain,
        source=row.source,
        protocol_digest=row.protocol_digest,
        episodes_digest=row.episodes_digest,
        lengths=evidence.lengths,
        metric=row.metric,
        chance=evidence.chance,
        best=evidence.best,
    )
    return Entry(row, evidence, key)


def _scores(entry: Entry) -> FloatArray:
    assert entry.evidence.scores is not None
    return entry.evidence.scores


def _undefined(entry: Entry) -> list[str]:
    """Say how many episodes were left out, which is the same for all rows of a block."""
    undefined = sum(record.undefined_episodes for record in entry.evidence.records)
    if not undefined:
        return []
    row = entry.row
    total = undefined + entry.evidence.defined
    where = f"{row.source} / {row.protocol}"
    return [f"{where}: {row.metric} is undefined in {undefined} of {total} episodes, left out"]


def _undefined_differ(row: Row, scores: FloatArray) -> list[str]:
    undefined = np.isnan(scores)
    if not (undefined != undefined[0]).any():
        return []
    where = f"{row.source} / {row.protocol}: {row.metric}"
    return [f"{where} is undefined on other episodes in some rows; ranks use what a pair shares"]


def _ranked_apart(entries: Sequence[Entry]) -> list[str]:
    messages: list[str] = []
    named: dict[tuple[str, str, str], dict[str, Entry]] = defaultdict(dict)
    tested: dict[tuple[str, str, str], dict[BlockKey, Row]] = defaultdict(dict)
    for entry in entries:
        row = entry.row
        named[row.domain, row.source, row.protocol].setdefault(row.protocol_digest, entry)
        if entry.block is not None:
            tested[row.domain, row.source, row.protocol_digest].setdefault(entry.block, row)
    for (_, source, protocol), found in named.items():
        if len(found) > 1:
            messages.append(
                f"{source} / {protocol}: {len(found)} protocol digests ({_short(found)}) under one "
                f"name, ranked apart{_what_differs(list(found.values()))}"
            )
    for (_, source, _), blocks in tested.items():
        rows = list(blocks.values())
        digests = {row.episodes_digest for row in rows}
        where = f"{source} / {rows[0].protocol}"
        if len(digests) > 1:
            seeds = sorted({row.seeds for row in rows})
            why = f" ({' or '.join(map(str, seeds))} seeds per row)" if len(seeds) > 1 else ""
            messages.append(
                f"{where}: {len(digests)} sets of test episodes ({_short(digests)}){why}, ranked "
                "apart"
            )
        if len(blocks) > len(digests):
            messages.append(
                f"{where}: rows on the same test episodes differ in metric, chance, best value or "
                "number of scores, ranked apart"
            )
    return messages


def _short(digests: Iterable[str]) -> str:
    return ", ".join(sorted((digest[:8] or "none") for digest in digests))


def _what_differs(entries: Sequence[Entry]) -> str:
    """Name the settings, if the records hold their protocols in full."""
    records = [entry.evidence.records[0] for entry in entries]
    held = [record.provenance.get("protocol") for record in records]
    protocols = [protocol for protocol in held if isinstance(protocol, Mapping)]
    if len(protocols) != len(entries):
        return ""
    settings = {
        line for other in protocols[1:] for line in describe_difference(protocols[0], other)
    }
    return ": " + "; ".join(sorted(settings)) if settings else ""
