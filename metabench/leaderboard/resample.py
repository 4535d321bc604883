"""Intervals over everything that a learner was tested on: of normalised score and mean rank.

A hierarchical bootstrap: domains are drawn, sources within each drawn domain, and seeds and
episodes within each row; all rows of a source (protocols, encoders) are drawn together. With one
domain or one source that level cannot vary, and the interval says nothing about others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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
    from metabench.leaderboard.standing import BlockKey

Interval = tuple[float, float]


@dataclass
class Share:
    """What one learner got on one source, summed over its rows.

    Attributes:
        rows: Number of rows.
        value: Sum of the rows' values.
        replicates: ``[REPLICATES]`` sum of their bootstrap replicates.
    """

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


@dataclass
class Part:
    """What the rows of one source contribute.

    Attributes:
        scores: Normalised scores per learner.
        ranks: Ranks per learner, over common blocks.
        fixed: Learners with a row that cannot vary.
        unscaled: Learners with a row that has no normalised score.
    """

    scores: dict[Learner, Share] = field(default_factory=lambda: defaultdict(Share))
    ranks: dict[Learner, Share] = field(default_factory=lambda: defaultdict(Share))
    fixed: set[Learner] = field(default_factory=set)
    unscaled: set[Learner] = field(default_factory=set)


SourceName = tuple[str, str]
"""Domain and source."""

Remember = Callable[[SourceName, Sequence["Block"], Collection["Learner"]], Part]
"""Stands in for `part_of`, whose result hangs on the rows, on who is ranked among them, and on
which blocks are common."""


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


def spreads(
    blocks: Iterable[Block], among: Collection[Learner], remember: Remember | None = None
) -> dict[Learner, Spread]:
    """Compute the intervals of each learner over everything that it was tested on.

    Args:
        blocks: All blocks.
        among: The learners that are ranked.
        remember: Gives a source's part; `part_of` by default.

    Returns:
        The intervals per learner. A row can vary if each seed has two defined episodes.
    """
    sources: dict[SourceName, list[Block]] = defaultdict(list)
    for block in blocks:
        sources[block.key.domain, block.key.source].append(block)
    scores: dict[Learner, _Domains] = defaultdict(lambda: defaultdict(list))
    ranks: dict[Learner, _Domains] = defaultdict(lambda: defaultdict(list))
    fixed: set[Learner] = set()
    unscaled: set[Learner] = set()
    for name, members in sources.items():
        part = remember(name, members, among) if remember else part_of(members, among)
        for shares, all_shares in ((part.scores, scores), (part.ranks, ranks)):
            for learner, share in shares.items():
                all_shares[learner][name[0]].append(share)
        fixed |= part.fixed
        unscaled |= part.unscaled
    return {
        name: Spread(
            normalized=None if name in unscaled else _interval(scores[name]),
            mean_rank=_interval(ranks[name]) if name in ranks else None,
        )
        for name in scores.keys() | ranks.keys()
        if name not in fixed
    }


_Domains = dict[str, list[Share]]
"""Per domain one share per source."""


def part_of(blocks: Iterable[Block], among: Collection[Learner]) -> Part:
    """Resample the rows of one source.

    Args:
        blocks: The source's.
        among: The learners that are ranked.
    """
    part = Part()
    groups: dict[BlockKey, list[Block]] = defaultdict(list)
    for block in blocks:
        groups[block.key].append(block)
    for key, group in groups.items():
        # A reference stands in several blocks with one row.
        rows = {
            (name, entry.row.encoder): entry
            for block in group
            for name, entry in block.entries.items()
            if name in among
        }
        found = {
            name: scores for name, entry in rows.items() if (scores := entry.scores) is not None
        }
        means = dict(zip(found, _resampled(list(found.values())), strict=True))
        for (name, encoder), entry in rows.items():
            scores = found.get((name, encoder))
            if scores is None or not can_vary(scores):
                part.fixed.add(name)
            if entry.row.normalized is None:
                part.unscaled.add(name)
                continue
            scaled = (means[name, encoder] - key.chance) / (key.best - key.chance)
            part.scores[name].add(entry.row.normalized, scaled)
        for block in filter(lambda one: one.common, group):
            for name, (rank, replicates) in _block_ranks(block, among, means).items():
                part.ranks[name].add(rank, replicates)
    return part


def _resampled(scores: Sequence[FloatArray]) -> list[FloatArray]:
    """Bootstrap the means of rows of one shape."""
    means: list[FloatArray] = []
    for start in range(0, len(scores), BATCH):
        means.extend(bootstrap_means(np.stack(scores[start : start + BATCH])))
    return means


def _block_ranks(
    block: Block, among: Collection[Learner], means: Mapping[tuple[Learner, str], FloatArray]
) -> dict[Learner, tuple[float, FloatArray]]:
    """Rank those learners in a block, and in every replicate of it."""
    ranks = block.ranks(among)
    if not ranks:
        return {}
    rows = [means[name, block.entries[name].row.encoder] for name in ranks]
    replicates = block.stretched(_ranks(np.stack(rows), block), len(ranks), among)
    values = block.stretched(np.array(list(ranks.values())), len(ranks), among)
    return {
        name: (rank, row)
        for name, rank, row in zip(ranks, values.tolist(), replicates, strict=True)
    }


def _ranks(means: FloatArray, block: Block) -> FloatArray:
    """Rank each column from 1, as `average_ranks` does; undefined means have no rank."""
    gain = means if block.higher_is_better else -means
    # Equal rows differ by rounding, depending on where they stand in the product.
    slack = NOISE * np.max(np.abs(np.nan_to_num(gain)), initial=0.0)
    ranks = np.empty(gain.shape)
    for row, own in enumerate(gain):
        better = np.add.reduce(gain > own + slack, axis=0, dtype=np.int32)
        ahead_or_equal = np.add.reduce(gain >= own - slack, axis=0, dtype=np.int32)
        ranks[row] = np.where(np.isnan(own), np.nan, (better + ahead_or_equal + 1) / 2)
    return ranks


def _interval(domains: _Domains) -> Interval | None:
    ordered = [sorted(shares, key=lambda share: share.rank) for shares in domains.values()]
    ordered.sort(key=lambda shares: [share.rank for share in shares])
    return percentile_interval(_over_domains(ordered))


def _over_domains(domains: Sequence[Sequence[Share]]) -> FloatArray:
    total = np.zeros(REPLICATES)
    for position, shares in enumerate(domains):
        sums = np.concatenate([share.replicates for share in shares])
        rows = np.array([share.rows for share in shares], dtype=np.float64)
        for slot in range(len(domains)):
            picks = _source_picks(len(domains), slot, position, len(shares))
            total[picks.chosen] += sums[picks.place].sum(axis=0) / rows[picks.source].sum(axis=0)
    return total / len(domains)


@dataclass(frozen=True)
class _Picks:
    """Which sources are drawn, by those replicates that have drawn their domain.

    Attributes:
        chosen: The replicates.
        source: ``[sources, chosen]`` number of each source that is drawn.
        place: ``[sources, chosen]`` which replicate of it, in all sources' replicates laid end to
            end.
    """

    chosen: IntArray
    source: IntArray
    place: IntArray


@lru_cache(maxsize=1024)
def _source_picks(domains: int, slot: int, position: int, sources: int) -> _Picks:
    """Draw once for every learner: all meet the same draws."""
    (chosen,) = np.nonzero(draws((DOMAINS, domains, slot), REPLICATES, domains) == position)
    picks = [_drawn((SOURCES, slot, number), sources)[chosen] for number in range(sources)]
    resample = [_drawn((RESAMPLES, slot, number), REPLICATES)[chosen] for number in range(sources)]
    source = np.stack(picks)
    return _Picks(chosen, source, source * REPLICATES + np.stack(resample))


@lru_cache(maxsize=4096)
def _drawn(stream: tuple[int, int, int], below: int) -> IntArray:
    drawn = draws(stream, REPLICATES, below)
    drawn.setflags(write=False)
    return drawn
