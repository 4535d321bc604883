"""One row per learner over all domains: mean rank, normalised score, and what is missing.

Ranks are taken block by block. A block is one source under one protocol, on equal test episodes,
with one encoder; learners without an encoder (chance) stand in every block of their source and
protocol as a reference. Only learners that finished every applicable cell take part, so nobody's
rank hangs on what somebody else happened to finish.

The normalised score is the mean over domains of the mean over a domain's rows. Its interval is a
hierarchical bootstrap: domains are resampled, then sources within each drawn domain, then seeds
and episodes within each row; all rows of a source (protocols, encoders) are resampled together.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from metabench.leaderboard.ranking import average_ranks
from metabench.leaderboard.resample import normalized_intervals
from metabench.leaderboard.row import joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metabench.leaderboard.csvfile import Value
    from metabench.leaderboard.tables import BlockKey, Entry, Tables

COLUMNS = (
    "encoder_policy", "algorithm", "rank", "mean_rank", "normalized", "ci95_low", "ci95_high",
    "coverage", "cells_ok", "cells_applicable", "blocks", "inductive", "plugin", "plugin_version",
)  # fmt: skip
"""The columns before ``normalized_<domain>``, one per domain by name."""

Learner = tuple[str, str]
"""Encoder policy and algorithm."""

Place = tuple["BlockKey", str, str]
"""A block: what its rows share, encoder policy, encoder."""


@dataclass(frozen=True)
class OverallRow:
    """One (encoder policy, algorithm). ``None`` is an empty cell.

    Attributes:
        encoder_policy: ``trainable``, ``frozen`` or ``none``.
        algorithm: The algorithm.
        rank: Place by mean rank among the rows of the same policy; ``None`` with a cell missing,
            and for policy ``none`` beside others: there it is a reference in everyone's blocks.
        mean_rank: Mean over blocks of the rank among complete learners; ties share an average.
        normalized: Mean over domains of the mean over rows; ``None`` with a cell missing.
        ci95_low: Lower end of its 95 % interval.
        ci95_high: Upper end.
        coverage: Cells ok / applicable; ``None`` if none is applicable.
        cells_ok: Number of cells with a number.
        cells_applicable: Number of cells that are neither inapplicable nor unavailable.
        blocks: Number of blocks in which it has a number.
        inductive: Whether every row is.
        plugin: The distribution that provides the algorithm.
        plugin_version: Its version.
        by_domain: Mean of the normalised score per domain; ``None`` with a cell of it missing.
    """

    encoder_policy: str
    algorithm: str
    rank: int | None
    mean_rank: float | None
    normalized: float | None
    ci95_low: float | None
    ci95_high: float | None
    coverage: float | None
    cells_ok: int
    cells_applicable: int
    blocks: int
    inductive: bool
    plugin: str
    plugin_version: str
    by_domain: Mapping[str, float | None] = field(default_factory=dict)

    def values(self) -> dict[str, Value]:
        """The row's values by column."""
        cells: dict[str, Value] = {name: getattr(self, name) for name in COLUMNS}
        cells |= {f"normalized_{name}": value for name, value in self.by_domain.items()}
        return cells


def overall_columns(domains: Sequence[str]) -> tuple[str, ...]:
    """The header of ``overall.csv`` for these domains."""
    return (*COLUMNS, *(f"normalized_{domain}" for domain in domains))


def build_overall(tables: Tables) -> tuple[OverallRow, ...]:
    """Summarise every learner over all tables.

    Args:
        tables: What `build_tables` made.

    Returns:
        Rows by policy and rank, unranked ones last. Learners with nothing but inapplicable cells
        are left out.
    """
    learners: dict[Learner, list[Entry]] = defaultdict(list)
    for entry in tables.entries:
        if any(record.status != "inapplicable" for record in entry.evidence.records):
            learners[entry.evidence.cell.encoder_policy, entry.row.algorithm].append(entry)
    complete = {name: entries for name, entries in learners.items() if _complete(entries)}
    blocks = _blocks(learners)
    mean_ranks = _mean_ranks(blocks, complete)
    ranks = _ranks(mean_ranks)
    intervals = normalized_intervals(complete)
    rows = []
    for name, entries in learners.items():
        cells = [entry.evidence.cells for entry in entries]
        ok, applicable = sum(n for n, _ in cells), sum(n for _, n in cells)
        by_domain = {domain: _domain_score(entries, domain) for domain in tables.domains}
        scores = [score for score in by_domain.values() if score is not None]
        low, high = intervals.get(name) or (None, None)
        plugins = [record.cell for entry in entries for record in entry.evidence.records]
        rows.append(
            OverallRow(
                encoder_policy=name[0],
                algorithm=name[1],
                rank=ranks.get(name),
                mean_rank=mean_ranks.get(name),
                normalized=float(np.mean(scores)) if name in complete and scores else None,
                ci95_low=low,
                ci95_high=high,
                coverage=ok / applicable if applicable else None,
                cells_ok=ok,
                cells_applicable=applicable,
                blocks=sum(name in members for members in blocks.values()),
                inductive=all(entry.row.inductive for entry in entries),
                plugin=joined(cell.plugin for cell in plugins),
                plugin_version=joined(cell.plugin_version for cell in plugins),
                by_domain=by_domain,
            )
        )
    return tuple(sorted(rows, key=_order))


def _complete(entries: Sequence[Entry]) -> bool:
    """Whether every row with an applicable cell has a number, and there is one."""
    applicable = [entry for entry in entries if entry.evidence.cells[1]]
    return bool(applicable) and all(entry.row.mean is not None for entry in applicable)


def _blocks(learners: Mapping[Learner, Sequence[Entry]]) -> dict[Place, dict[Learner, Entry]]:
    blocks: dict[Place, dict[Learner, Entry]] = defaultdict(dict)
    hosts: dict[BlockKey, list[Place]] = defaultdict(list)
    references: list[tuple[Learner, Entry, BlockKey]] = []
    for name, entries in learners.items():
        for entry in entries:
            if entry.block is None:
                continue
            if name[0] == "none":
                references.append((name, entry, entry.block))
                continue
            place = (entry.block, name[0], entry.row.encoder)
            if place not in blocks:
                hosts[entry.block].append(place)
            blocks[place][name] = entry
    for name, entry, key in references:
        for place in hosts.get(key) or [(key, "none", entry.row.encoder)]:
            blocks[place][name] = entry
    return blocks


def _mean_ranks(
    blocks: Mapping[Place, Mapping[Learner, Entry]], complete: Mapping[Learner, Sequence[Entry]]
) -> dict[Learner, float]:
    ranks: dict[Learner, list[float]] = defaultdict(list)
    for members in blocks.values():
        present = {name: entry for name, entry in members.items() if name in complete}
        if not present:
            continue
        means = np.array([entry.row.mean for entry in present.values()], dtype=np.float64)
        better = next(iter(present.values())).evidence.higher_is_better
        found = average_ranks(means, higher_is_better=better).tolist()
        for name, rank in zip(present, found, strict=True):
            ranks[name].append(rank)
    return {name: float(np.mean(found)) for name, found in ranks.items()}


def _ranks(mean_ranks: Mapping[Learner, float]) -> dict[Learner, int]:
    """Place each learner among those of its policy; equal mean ranks share the better place."""
    only_references = all(policy == "none" for policy, _ in mean_ranks)
    return {
        (policy, algorithm): 1
        + sum(
            round(other, 9) < round(rank, 9)
            for (others_policy, _), other in mean_ranks.items()
            if others_policy == policy
        )
        for (policy, algorithm), rank in mean_ranks.items()
        if policy != "none" or only_references
    }


def _domain_score(entries: Sequence[Entry], domain: str) -> float | None:
    here = [entry for entry in entries if entry.row.domain == domain]
    if not _complete(here):
        return None
    scores = [entry.row.normalized for entry in here if entry.row.mean is not None]
    known = [score for score in scores if score is not None]
    return float(np.mean(known)) if len(known) == len(scores) else None


def _order(row: OverallRow) -> tuple[str, bool, int, float, str]:
    score = row.normalized if row.normalized is not None else float("-inf")
    return (row.encoder_policy, row.rank is None, row.rank or 0, -score, row.algorithm)
