"""Intervals over everything that a learner was tested on: of normalised score and mean rank.

A hierarchical bootstrap: domains are drawn, sources within each drawn domain, and seeds and
episodes within each row; all rows of a source (protocols, encoders) are drawn together. With one
domain or one source that level cannot vary, and the interval says nothing about others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
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
    IntArray,
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


@dataclass(frozen=True)
class Spread:
    """95 % intervals of one learner; ``None`` where some row cannot vary.

    Attributes:
        normalized: That of the normalised score; every row must have one.
        mean_rank: That of the mean rank. In every replicate the rows of a block meet the same
            resampled seeds and episodes and are ranked anew.
    """

    normalized: Interval | None
    mean_rank: Interval | None


def spreads(blocks: Iterable[Block], among: Collection[Learner]) -> dict[Learner, Spread]:
    """Compute the intervals of each learner over everything that it was tested on.

    Args:
        blocks: All blocks.
        among: The learners that are ranked.

    Returns:
        The intervals per learner. A row can vary if each seed has two defined episodes.
    """
    groups: dict[BlockKey, list[Block]] = defaultdict(list)
    for block in blocks:
        groups[block.key].append(block)
    scores: dict[Learner, _Sources] = defaultdict(_no_sources)
    ranks: dict[Learner, _Sources] = defaultdict(_no_sources)
    fixed: set[Learner] = set()
    unscaled: set[Learner] = set()
    for key, group in groups.items():
        # A reference stands in several blocks with one row.
        rows = {
            (name, entry.row.encoder): entry
            for block in group
            for name, entry in block.entries.items()
            if name in among
        }
        means = dict(zip(rows, _resampled(list(rows.values())), strict=True))
        for (name, encoder), entry in rows.items():
            if entry.evidence.scores is None or not can_vary(entry.evidence.scores):
                fixed.add(name)
            if entry.row.normalized is None:
                unscaled.add(name)
                continue
            scaled = (means[name, encoder] - key.chance) / (key.best - key.chance)
            scores[name][key.domain][key.source].add(entry.row.normalized, scaled)
        for block in filter(lambda one: one.common, group):
            for name, (rank, replicates) in _block_ranks(block, among, means).items():
                ranks[name][key.domain][key.source].add(rank, replicates)
    return {
        name: Spread(
            normalized=None if name in unscaled else _interval(scores[name]),
            mean_rank=_interval(ranks[name]) if name in ranks else None,
        )
        for name in scores.keys() | ranks.keys()
        if name not in fixed
    }


def _no_sources() -> _Sources:
    return defaultdict(lambda: defaultdict(_Source))


def _resampled(entries: Sequence[Entry]) -> list[FloatArray]:
    """Bootstrap the means of rows of one shape."""
    stack = [entry.evidence.scores for entry in entries if entry.evidence.scores is not None]
    means: list[FloatArray] = []
    for start in range(0, len(stack), BATCH):
        means.extend(bootstrap_means(np.stack(stack[start : start + BATCH])))
    return means


def _block_ranks(
    block: Block, among: Collection[Learner], means: Mapping[tuple[Learner, str], FloatArray]
) -> dict[Learner, tuple[float, FloatArray]]:
    """Rank those learners in a block, and in every replicate of it."""
    ranks = block.ranks(among)
    if not ranks:
        return {}
    rows = [means[name, block.entries[name].row.encoder] for name in ranks]
    replicates = _ranks(np.stack(rows), block)
    return {name: (rank, row) for (name, rank), row in zip(ranks.items(), replicates, strict=True)}


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


def _interval(sources: _Sources) -> Interval | None:
    domains = [sorted(inner.values(), key=lambda s: s.rank) for inner in sources.values()]
    domains.sort(key=lambda nodes: [node.rank for node in nodes])
    return percentile_interval(_over_domains(domains))


def _over_domains(domains: Sequence[Sequence[_Source]]) -> FloatArray:
    total = np.zeros(REPLICATES)
    for slot in range(len(domains)):
        picks = _drawn((DOMAINS, len(domains), slot), len(domains))
        for position, nodes in enumerate(domains):
            total += np.where(picks == position, _over_sources(nodes, slot), 0.0)
    return total / len(domains)


def _over_sources(nodes: Sequence[_Source], domain_slot: int) -> FloatArray:
    sums = np.stack([node.replicates for node in nodes])
    rows = np.array([node.rows for node in nodes], dtype=np.float64)
    total, number = np.zeros(REPLICATES), np.zeros(REPLICATES)
    for slot in range(len(nodes)):
        pick = _drawn((SOURCES, domain_slot, slot), len(nodes))
        resample = _drawn((RESAMPLES, domain_slot, slot), REPLICATES)
        total += sums[pick, resample]
        number += rows[pick]
    return total / number


@lru_cache(maxsize=1024)
def _drawn(stream: tuple[int, int, int], below: int) -> IntArray:
    """Draw once for every learner: all meet the same draws."""
    drawn = draws(stream, REPLICATES, below)
    drawn.setflags(write=False)
    return drawn
