"""One row per learner over all domains: mean rank, normalised score, and what is missing.

Ranks are taken block by block (`blocks`). Only learners that were run wherever most others were,
and finished every applicable cell, take part in the main rank, so nobody's rank hangs on what it or
somebody else happened to finish. Beside it stand two that bound what missing cells can do: over the
blocks that everyone finished, and with whoever is missing put last.

The normalised score is the mean over domains of the mean over a domain's rows; its interval and
that of the mean rank are in `resample`, the critical-difference groups in `groups`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from metabench.leaderboard.blocks import (
    Learner,
    complete_case_ranks,
    inapplicable,
    make_blocks,
    mean_ranks,
    places,
    win_rates,
    worst_case_ranks,
)
from metabench.leaderboard.groups import critical_groups
from metabench.leaderboard.resample import Remember, Spread, spreads
from metabench.leaderboard.row import joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metabench.leaderboard.csvfile import Value
    from metabench.leaderboard.standing import Standing, Standings

COLUMNS = (
    "encoder_policy", "algorithm", "rank", "mean_rank", "normalized", "ci95_low", "ci95_high",
    "coverage", "cells_ok", "cells_applicable", "blocks", "inductive", "plugin", "plugin_version",
    "mean_rank_low", "mean_rank_high", "win_rate", "group_low", "group_high",
    "rank_complete_cases", "rank_worst_case", "cells_unavailable",
    "blocks_not_run",
)  # fmt: skip
"""The columns before ``normalized_<domain>``, one per domain by name."""


@dataclass(frozen=True)
class OverallRow:
    """One (encoder policy, algorithm). ``None`` is an empty cell.

    Attributes:
        encoder_policy: ``trainable``, ``frozen`` or ``none``.
        algorithm: The algorithm.
        rank: Place by mean rank among the rows of the same policy; ``None`` with a cell missing or
            never run, and for policy ``none`` beside others: there it is a reference in everyone's
            blocks.
        mean_rank: Mean over common blocks of the rank among complete learners; ties share an
            average, and where few apply ranks are stretched to the number of all.
        normalized: Mean over domains of the mean over rows; ``None`` with a cell missing.
        ci95_low: Lower end of its 95 % interval.
        ci95_high: Upper end.
        coverage: Cells ok / applicable; ``None`` if none is applicable.
        cells_ok: Number of cells with a number.
        cells_applicable: Number of cells that are neither inapplicable nor unavailable.
        blocks: Number of blocks in which it has a number, common or not.
        inductive: Whether every row is.
        plugin: The distribution that provides the algorithm.
        plugin_version: Its version.
        mean_rank_low: Lower end of the 95 % interval of ``mean_rank``.
        mean_rank_high: Upper end.
        win_rate: Share of all (block, opponent) pairs won among complete learners, ties half.
        group_low: First critical-difference group; learners of a policy that have no group in
            common differ significantly over the sources.
        group_high: Last critical-difference group.
        rank_complete_cases: Place over the blocks in which nobody is missing that has a number
            anywhere; ``None`` if there are none.
        rank_worst_case: Place if whoever is missing from a block were last in it.
        cells_unavailable: Number of cells for which data or a dependency was missing.
        blocks_not_run: Number of common blocks in which it was never run, or on other episodes.
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
    mean_rank_low: float | None
    mean_rank_high: float | None
    win_rate: float | None
    group_low: int | None
    group_high: int | None
    rank_complete_cases: int | None
    rank_worst_case: int | None
    cells_unavailable: int
    blocks_not_run: int
    by_domain: Mapping[str, float | None] = field(default_factory=dict)

    def values(self) -> dict[str, Value]:
        """The row's values by column."""
        cells: dict[str, Value] = {name: getattr(self, name) for name in COLUMNS}
        cells |= {f"normalized_{name}": value for name, value in self.by_domain.items()}
        return cells


def overall_columns(domains: Sequence[str]) -> tuple[str, ...]:
    """The header of ``overall.csv`` for these domains."""
    return (*COLUMNS, *(f"normalized_{domain}" for domain in domains))


def build_overall(tables: Standings, remember: Remember | None = None) -> tuple[OverallRow, ...]:
    """Summarise every learner over all tables.

    Args:
        tables: What `build_tables` made.
        remember: As `resample.spreads` takes it.

    Returns:
        Rows by policy and rank, unranked ones last. Learners with nothing but inapplicable cells
        are left out.
    """
    everyone: dict[Learner, list[Standing]] = defaultdict(list)
    for entry in tables.entries:
        everyone[entry.policy, entry.row.algorithm].append(entry)
    # Who does not apply somewhere is not missing there, so those rows are needed as well.
    learners = {
        name: found for name, found in everyone.items() if not all(map(inapplicable, found))
    }
    # Without an applicable cell nobody takes part, and is missing nowhere.
    blocks = make_blocks({name: found for name, found in learners.items() if _takes_part(found)})
    not_run = {(name, block.key.domain) for block in blocks for name in block.not_run}
    lacking = {name for name, _ in not_run}
    complete = {name for name, found in learners.items() if _complete(found)} - lacking
    common = [block for block in blocks if block.common]
    means = mean_ranks(common, complete)
    ranks = places(means)
    intervals = spreads(blocks, complete, remember)
    wins = win_rates(common, complete)
    groups = critical_groups(common, means, ranks)
    complete_cases = places(complete_case_ranks(common))
    worst_case = places(worst_case_ranks(common))
    rows, domains = [], tables.domains
    for name, entries in learners.items():
        cells = [entry.cells for entry in entries]
        ok, applicable = sum(n for n, _ in cells), sum(n for _, n in cells)
        by_domain = {
            domain: None if (name, domain) in not_run else _domain_score(entries, domain)
            for domain in domains
        }
        scores = [score for score in by_domain.values() if score is not None]
        spread = intervals.get(name) or Spread(None, None)
        low, high = spread.normalized or (None, None)
        rank_low, rank_high = spread.mean_rank or (None, None)
        group_low, group_high = groups.get(name) or (None, None)
        plugins = {plugin for entry in entries for plugin in entry.plugins}
        rows.append(
            OverallRow(
                encoder_policy=name[0],
                algorithm=name[1],
                rank=ranks.get(name),
                mean_rank=means.get(name),
                normalized=float(np.mean(scores)) if name in complete and scores else None,
                ci95_low=low,
                ci95_high=high,
                coverage=ok / applicable if applicable else None,
                cells_ok=ok,
                cells_applicable=applicable,
                blocks=sum(name in block.entries for block in blocks),
                inductive=all(entry.row.inductive for entry in entries),
                plugin=joined(name for name, _ in plugins),
                plugin_version=joined(version for _, version in plugins),
                mean_rank_low=rank_low,
                mean_rank_high=rank_high,
                win_rate=wins.get(name),
                group_low=group_low,
                group_high=group_high,
                rank_complete_cases=complete_cases.get(name),
                rank_worst_case=worst_case.get(name),
                cells_unavailable=sum(map(_unavailable, entries)),
                blocks_not_run=sum(name in block.not_run for block in blocks),
                by_domain=by_domain,
            )
        )
    return tuple(sorted(rows, key=_order))


def _complete(entries: Sequence[Standing]) -> bool:
    """Whether every row with an applicable cell has a number, and there is one."""
    applicable = [entry for entry in entries if entry.cells[1]]
    return bool(applicable) and all(entry.row.mean is not None for entry in applicable)


def _takes_part(entries: Sequence[Standing]) -> bool:
    return any(entry.cells[1] for entry in entries)


def _unavailable(entry: Standing) -> int:
    return entry.statuses.count("unavailable")


def _domain_score(entries: Sequence[Standing], domain: str) -> float | None:
    here = [entry for entry in entries if entry.row.domain == domain]
    if not _complete(here):
        return None
    scores = [entry.row.normalized for entry in here if entry.row.mean is not None]
    known = [score for score in scores if score is not None]
    return float(np.mean(known)) if len(known) == len(scores) else None


def _order(row: OverallRow) -> tuple[str, bool, int, float, str]:
    score = row.normalized if row.normalized is not None else float("-inf")
    return (row.encoder_policy, row.rank is None, row.rank or 0, -score, row.algorithm)
