"""Intervals over everything that a learner was tested on: of normalised score and mean rank.

A hierarchical bootstrap: domains are drawn, sources within each drawn domain, and seeds and
episodes within each row; all rows of a source (protocols, encoders) are drawn together. With one
domain or one source that level cannot vary, and the interval says nothing about others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from metabench.leaderboard.ranking import NOISE
from metabench.leaderboard.statistics import (
    BATCH,
    DOMAINS,
    REPLICATES,
    RESAMPLES,
    SOURCES,
    FloatArray,
    bootstrap_means,
    can_vary,
    draws,
    percentile_interval,
)

if TYPE_CHECKING:
    from metabench.leaderboard.blocks import Block, Learner
    from metabench.leaderboard.tables import BlockKey, Entry

Interval = tuple[float, float]


@dataclass
class _Source:
    """What one learner got on one source, summed over its rows."""

    rows: int = 0
    value: float = 0.0
    replicates: FloatArray = field(default_factory=lambda: np.zeros(REPLICATES))

    @property
    def rank(self) -> tuple[float, bytes]:
        """An order by content, so that no name decides which random numbers a source meets."""
        return (self.value / self.rows, self.replicates.tobytes())

    def add(self, value: float, replicates: FloatArray) -> None:
        """Add a row."""
        self.rows += 1
        self.value += value
        self.replicates += replicates


_Sources = dict[str, dict[str, _Source]]
"""Per domain and source."""


def normalized_intervals(
    learners: Mapping[Learner, Sequence[Entry]],
) -> dict[Learner, Interval]:
    """Compute the interval of each learner's overall normalised score.

    Args:
        learners: Per learner its rows; those without a number are passed over.

    Returns:
        Both ends, for learners whose every row has a normalised score and at least two defined
        episodes per seed.
    """
    sources: dict[Learner, _Sources] = {}
    batches: dict[tuple[int, ...], list[tuple[Entry, _Source]]] = defaultdict(list)
    for name, entries in learners.items():
        scored = [entry for entry in entries if entry.evidence.scores is not None]
        if not scored or not all(map(_has_spread, scored)):
            continue
        found = sources[name] = _no_sources()
        for entry in scored:
            assert entry.evidence.scores is not None
            source = found[entry.row.domain][entry.row.source]
            batches[entry.evidence.scores.shape].append((entry, source))
    for rows in batches.values():
        for start in range(0, len(rows), BATCH):
            _add(rows[start : start + BATCH])
    return _intervals(sources)


def mean_rank_intervals(
    blocks: Iterable[Block], among: Collection[Learner]
) -> dict[Learner, Interval]:
    """Compute the interval of each learner's mean rank.

    In every replicate the rows of a block meet the same resampled seeds and episodes and are ranked
    anew.

    Args:
        blocks: All blocks.
        among: The learners that are ranked.

    Returns:
        Both ends, for learners that have at least two defined episodes per seed in every block.
    """
    groups: dict[BlockKey, list[Block]] = defaultdict(list)
    for block in blocks:
        groups[block.key].append(block)
    sources: dict[Learner, _Sources] = defaultdict(_no_sources)
    fixed: set[Learner] = set()
    for key, group in groups.items():
        entries = {id(e): e for b in group for name, e in b.entries.items() if name in among}
        means = _resampled(list(entries.values()))
        for block in group:
            ranks = block.ranks(among)
            if not ranks:
                continue
            members = [block.entries[name] for name in ranks]
            replicates = _ranks(np.stack([means[id(entry)] for entry in members]), block)
            for (name, rank), entry, row in zip(ranks.items(), members, replicates, strict=True):
                sources[name][key.domain][key.source].add(rank, row)
                if entry.evidence.scores is None or not can_vary(entry.evidence.scores):
                    fixed.add(name)
    return _intervals({name: found for name, found in sources.items() if name not in fixed})


def _no_sources() -> _Sources:
    return defaultdict(lambda: defaultdict(_Source))


def _has_spread(entry: Entry) -> bool:
    scores = entry.evidence.scores
    return scores is not None and entry.row.normalized is not None and can_vary(scores)


def _add(rows: Sequence[tuple[Entry, _Source]]) -> None:
    means = _resampled([entry for entry, _ in rows])
    for entry, source in rows:
        chance, best = entry.evidence.chance, entry.evidence.best
        scaled = (means[id(entry)] - chance) / (best - chance)
        source.add(entry.row.normalized or 0.0, scaled)


def _resampled(entries: Sequence[Entry]) -> dict[int, FloatArray]:
    """Bootstrap the means of rows of one shape."""
    means: dict[int, FloatArray] = {}
    for start in range(0, len(entries), BATCH):
        part = entries[start : start + BATCH]
        stack = np.stack([e.evidence.scores for e in part if e.evidence.scores is not None])
        means |= zip(map(id, part), bootstrap_means(stack), strict=True)
    return means


def _ranks(means: FloatArray, block: Block) -> FloatArray:
    """Rank each column from 1, as `average_ranks` does; undefined means have no rank."""
    gain = means if block.higher_is_better else -means
    # Equal rows differ by rounding, depending on where they stand in the product.
    slack = NOISE * np.max(np.abs(np.nan_to_num(gain)), initial=0.0)
    ranks = np.empty(gain.shape)
    for row, own in enumerate(gain):
        better = (gain > own + slack).sum(axis=0)
        ahead_or_equal = (gain >= own - slack).sum(axis=0)
        ranks[row] = np.where(np.isnan(own), np.nan, (better + ahead_or_equal + 1) / 2)
    return ranks


def _intervals(sources: Mapping[Learner, _Sources]) -> dict[Learner, Interval]:
    intervals = {}
    for name, found in sources.items():
        domains = [sorted(inner.values(), key=lambda s: s.rank) for inner in found.values()]
        domains.sort(key=lambda nodes: [node.rank for node in nodes])
        interval = percentile_interval(_over_domains(domains))
        if interval:
            intervals[name] = interval
    return intervals


def _over_domains(domains: Sequence[Sequence[_Source]]) -> FloatArray:
    total = np.zeros(REPLICATES)
    for slot in range(len(domains)):
        picks = draws((DOMAINS, len(domains), slot), REPLICATES, len(domains))
        for position, nodes in enumerate(domains):
            total += np.where(picks == position, _over_sources(nodes, slot), 0.0)
    return total / len(domains)


def _over_sources(nodes: Sequence[_Source], domain_slot: int) -> FloatArray:
    sums = np.stack([node.replicates for node in nodes])
    rows = np.array([node.rows for node in nodes], dtype=np.float64)
    total, number = np.zeros(REPLICATES), np.zeros(REPLICATES)
    for slot in range(len(nodes)):
        pick = draws((SOURCES, domain_slot, slot), REPLICATES, len(nodes))
        resample = draws((RESAMPLES, domain_slot, slot), REPLICATES, REPLICATES)
        total += sums[pick, resample]
        number += rows[pick]
    return total / number
