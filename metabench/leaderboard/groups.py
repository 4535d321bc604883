"""Which learners the sources cannot tell apart: critical-difference groups.

Benavoli, Corani and Mangili (2016), Should we really use post-hoc tests based on mean-ranks?, show
that Nemenyi's test on mean ranks lets the verdict on two learners hang on who else is in the pool,
and recommend the signed-rank test on their own differences, corrected for the number of pairs. So
it is done here, with Holm's correction. The difference is that of the normalised scores, so that
its size means the same everywhere. The unit is the source, as in Demšar (2006), Statistical
comparisons of classifiers over multiple data sets: shots and encoders on one source share its data,
and are averaged first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from metabench.leaderboard.ranking import SIGNIFICANCE, holm
from metabench.leaderboard.signed_rank import wilcoxon

if TYPE_CHECKING:
    from metabench.leaderboard.blocks import Block, Learner
    from metabench.leaderboard.statistics import FloatArray


def critical_groups(
    blocks: Iterable[Block], mean_ranks: Mapping[Learner, float], ranked: Collection[Learner]
) -> dict[Learner, tuple[int, int]]:
    """Group the learners of each policy.

    In order of mean rank, a group reaches from a learner to the last one that is not significantly
    different from it; a group inside another is none.

    Args:
        blocks: All blocks.
        mean_ranks: The mean rank of each learner to be grouped.
        ranked: Those that get a place.

    Returns:
        The first and the last group of each learner, from 1. Learners without a common group
        differ significantly.
    """
    blocks = list(blocks)
    found: dict[Learner, tuple[int, int]] = {}
    for policy in {policy for policy, _ in ranked}:
        names = [name for name in ranked if name[0] == policy]
        names.sort(key=lambda name: mean_ranks[name])
        different = _different(*_scores(names, blocks))
        order = [round(mean_ranks[name], 9) for name in names]
        found |= dict(zip(names, _groups(different, order), strict=True))
    return found


def _scores(names: Sequence[Learner], blocks: Iterable[Block]) -> tuple[FloatArray, FloatArray]:
    """Normalised scores ``[learners, blocks]``, and the source ``[blocks, sources]`` of each."""
    here = [block for block in blocks if not block.entries.keys().isdisjoint(names)]
    sources = sorted({(block.key.domain, block.key.source) for block in here})
    of_source = np.zeros((len(here), len(sources)))
    scores = np.full((len(names), len(here)), np.nan)
    for column, block in enumerate(here):
        of_source[column, sources.index((block.key.domain, block.key.source))] = 1
        for row, name in enumerate(names):
            entry = block.entries.get(name)
            if entry is not None and entry.row.normalized is not None:
                scores[row, column] = entry.row.normalized
    return scores, of_source


def _different(scores: FloatArray, of_source: FloatArray) -> FloatArray:
    """Whether each two of these learners differ, as 0 or 1."""
    number = len(scores)
    upper = np.triu_indices(number, 1)
    p_values = [
        wilcoxon(_per_source(one - other, of_source)) for one, other in combinations(scores, 2)
    ]
    different = np.zeros((number, number))
    different[upper] = holm(np.array(p_values)) < SIGNIFICANCE
    return np.maximum(different, different.T)


def _per_source(differences: FloatArray, of_source: FloatArray) -> FloatArray:
    """Mean difference per source over the blocks that both learners have; NaN without any."""
    shared = ~np.isnan(differences)
    number = shared @ of_source
    total = np.where(shared, differences, 0.0) @ of_source
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _groups(different: FloatArray, order: Sequence[float]) -> list[tuple[int, int]]:
    """Turn differences into runs along the order, and runs into their first and last number.

    Learners of equal mean rank have no order; a run takes in all of them or none.
    """
    number = len(order)
    runs: list[tuple[int, int]] = []
    for start in range(number):
        if start and order[start] == order[start - 1]:
            continue
        tied = [i for i in range(number) if order[i] == order[start]]
        end = max(j for i in tied for j in range(i, number) if not different[i, j])
        end = max(j for j in range(number) if order[j] == order[end])
        if not runs or end > runs[-1][1]:
            runs.append((start, end))
    return [
        (
            1 + min(n for n, (start, end) in enumerate(runs) if start <= i <= end),
            1 + max(n for n, (start, end) in enumerate(runs) if start <= i <= end),
        )
        for i in range(number)
    ]
