"""The interval of a learner's normalised score over everything it was tested on.

A hierarchical bootstrap: domains are drawn, sources within each drawn domain, and seeds and
episodes within each row; all rows of a source (protocols, encoders) are drawn together. With one
domain or one source that level cannot vary, and the interval says nothing about others.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

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
    from collections.abc import Mapping, Sequence

    from metabench.leaderboard.tables import Entry


@dataclass
class _Source:
    """Normalised scores of one learner on one source, summed over its rows."""

    rows: int = 0
    value: float = 0.0
    replicates: FloatArray = field(default_factory=lambda: np.zeros(REPLICATES))

    @property
    def rank(self) -> tuple[float, bytes]:
        """An order by content, so that no name decides which random numbers a source meets."""
        return (self.value / self.rows, self.replicates.tobytes())


def normalized_intervals(
    learners: Mapping[tuple[str, str], Sequence[Entry]],
) -> dict[tuple[str, str], tuple[float, float]]:
    """Compute the interval of each learner's overall normalised score.

    Args:
        learners: Per learner its rows; those without a number are passed over.

    Returns:
        Both ends, for learners whose every row has a normalised score and at least two defined
        episodes per seed.
    """
    sources: dict[tuple[str, str], dict[str, dict[str, _Source]]] = {}
    batches: dict[tuple[int, ...], list[tuple[Entry, _Source]]] = defaultdict(list)
    for name, entries in learners.items():
        scored = [entry for entry in entries if entry.evidence.scores is not None]
        if not scored or not all(map(_has_spread, scored)):
            continue
        found: dict[str, dict[str, _Source]] = defaultdict(lambda: defaultdict(_Source))
        for entry in scored:
            assert entry.evidence.scores is not None
            source = found[entry.row.domain][entry.row.source]
            batches[entry.evidence.scores.shape].append((entry, source))
        sources[name] = found
    for rows in batches.values():
        for start in range(0, len(rows), BATCH):
            _add(rows[start : start + BATCH])
    intervals = {}
    for name, found in sources.items():
        domains = [sorted(inner.values(), key=lambda s: s.rank) for inner in found.values()]
        domains.sort(key=lambda nodes: [node.rank for node in nodes])
        interval = percentile_interval(_over_domains(domains))
        if interval:
            intervals[name] = interval
    return intervals


def _has_spread(entry: Entry) -> bool:
    scores = entry.evidence.scores
    return scores is not None and entry.row.normalized is not None and can_vary(scores)


def _add(rows: Sequence[tuple[Entry, _Source]]) -> None:
    stack = np.stack([e.evidence.scores for e, _ in rows if e.evidence.scores is not None])
    for (entry, source), means in zip(rows, bootstrap_means(stack), strict=True):
        chance, best = entry.evidence.chance, entry.evidence.best
        source.rows += 1
        source.value += entry.row.normalized or 0.0
        source.replicates += (means - chance) / (best - chance)


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
