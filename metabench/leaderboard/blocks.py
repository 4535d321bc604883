"""Who meets whom, and what place that gives everyone.

A block is one source under one protocol, on equal test episodes, with one encoder; learners without
an encoder (chance) stand in every block of their source and protocol as a reference.

Ranks are taken over common blocks: those in which more than half of the learners that were to stand
there, and did not fail, do. So one learner's extra source or other seeds give it no easy first
place, and take nothing from those who were never run there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from metabench.leaderboard.ranking import average_ranks

if TYPE_CHECKING:
    from metabench.leaderboard.standing import BlockKey, Standing
    from metabench.leaderboard.statistics import FloatArray

Learner = tuple[str, str]
"""Encoder policy and algorithm."""

REFERENCE = "none"
"""The encoder policy of learners that use none."""
_DIGITS = 9


@dataclass(eq=False)
class Block:
    """Learners that can be compared.

    Attributes:
        key: What their rows share.
        policy: The policy of the encoder.
        encoder: The encoder.
        entries: Rows with a number.
        missing: Learners that were to have a number here, and have none.
        not_run: Those among them that were never run here, or only on other episodes.
        common: Whether ranks are taken over it.
    """

    key: BlockKey
    policy: str
    encoder: str
    entries: dict[Learner, Standing] = field(default_factory=dict)
    missing: set[Learner] = field(default_factory=set)
    not_run: set[Learner] = field(default_factory=set)
    common: bool = True

    def means(self, among: Collection[Learner]) -> dict[Learner, float]:
        """The means of those learners that have a number here."""
        return {
            name: entry.row.mean
            for name, entry in self.entries.items()
            if name in among and entry.row.mean is not None
        }

    @property
    def higher_is_better(self) -> bool:
        """The metric's direction."""
        return self.key.best >= self.key.chance

    def stretched(self, ranks: FloatArray, standing: int, among: Collection[Learner]) -> FloatArray:
        """Stretch ranks to the number of all, however few stand here.

        Where a learner does not apply it has no rank, and the others have fewer opponents: without
        this the last of few would seem better than the middle of many. Ranks stay as they are where
        everyone stands; who stands alone is put in the middle.

        Args:
            ranks: From 1 to ``standing``.
            standing: How many are ranked here.
            among: All that are ranked, here or elsewhere.
        """
        everyone = sum(policy in {self.policy, REFERENCE} for policy, _ in among)
        if standing == 1:
            return ranks + (everyone - 1) / 2
        return 1 + (ranks - 1) * ((everyone - 1) / (standing - 1))

    def ranks(self, among: Collection[Learner]) -> dict[Learner, float]:
        """Rank those learners that have a number here from 1; ties share an average."""
        means = self.means(among)
        values = np.array(list(means.values()), dtype=np.float64)
        found = average_ranks(values, higher_is_better=self.higher_is_better)
        return dict(zip(means, found.tolist(), strict=True))


def make_blocks(learners: Mapping[Learner, Sequence[Standing]]) -> list[Block]:
    """Put everyone in the blocks in which they have a number, or were to have one.

    A block in which nobody has a number is none.

    Args:
        learners: Per learner its rows; everyone of a policy is to stand in all its blocks, except
            where a record says that it does not apply.

    Returns:
        The blocks, in no order that means anything.
    """
    blocks: dict[tuple[BlockKey, str, str], Block] = {}
    references: list[tuple[Learner, Standing]] = []
    for name, entries in learners.items():
        for entry in entries:
            if entry.block is None:
                continue
            if name[0] == REFERENCE:
                references.append((name, entry))
            else:
                _block(blocks, entry.block, name[0], entry).entries[name] = entry
    hosts: dict[BlockKey, list[Block]] = defaultdict(list)
    for block in blocks.values():
        hosts[block.key].append(block)
    for name, entry in references:
        assert entry.block is not None
        own = hosts.get(entry.block) or [_block(blocks, entry.block, REFERENCE, entry)]
        for block in own:
            block.entries[name] = entry
    found = list(blocks.values())
    _find_missing(found, learners)
    return found


def _block(
    blocks: dict[tuple[BlockKey, str, str], Block], key: BlockKey, policy: str, entry: Standing
) -> Block:
    encoder = entry.row.encoder
    return blocks.setdefault((key, policy, encoder), Block(key, policy, encoder))


def _find_missing(blocks: Iterable[Block], learners: Mapping[Learner, Sequence[Standing]]) -> None:
    """Tell common blocks from others, and who is missing from them."""
    rows: dict[tuple[str, ...], dict[Learner, Standing]] = defaultdict(dict)
    for name, entries in learners.items():
        for entry in entries:
            row = entry.row
            encoder = REFERENCE if name[0] == REFERENCE else row.encoder
            rows[row.domain, row.source, row.protocol_digest, encoder][name] = entry
    for block in blocks:
        key = block.key
        place = (key.domain, key.source, key.protocol_digest)
        here = rows[*place, REFERENCE] | rows[*place, block.encoder]
        wanted = {name for name in learners if name[0] in {block.policy, REFERENCE}}
        wanted -= {name for name, entry in here.items() if inapplicable(entry)}
        failed = {name for name in wanted & here.keys() if here[name].block is None}
        members = [name for name in wanted - failed if name[0] == block.policy]
        block.common = 2 * sum(name in block.entries for name in members) > len(members)
        block.missing = wanted - block.entries.keys() if block.common else set()
        block.not_run = block.missing - failed


def inapplicable(entry: Standing) -> bool:
    """Whether no seed of a row applies to its task."""
    return all(status == "inapplicable" for status in entry.statuses)


def mean_ranks(blocks: Iterable[Block], among: Collection[Learner]) -> dict[Learner, float]:
    """Mean over blocks of the rank among these learners, stretched to their number."""
    return _mean(_stretched(block, block.ranks(among), among) for block in blocks)


def win_rates(blocks: Iterable[Block], among: Collection[Learner]) -> dict[Learner, float]:
    """Share of all (block, opponent) pairs that a learner wins; a tie is half a win.

    Learners that met nobody are left out.
    """
    won: dict[Learner, float] = defaultdict(float)
    met: dict[Learner, int] = defaultdict(int)
    for block in blocks:
        ranks = block.ranks(among)
        for name, rank in ranks.items():
            won[name] += len(ranks) - rank
            met[name] += len(ranks) - 1
    return {name: won[name] / opponents for name, opponents in met.items() if opponents}


def complete_case_ranks(blocks: Iterable[Block]) -> dict[Learner, float]:
    """Mean rank over the blocks in which nobody is missing that has a number anywhere."""
    blocks = list(blocks)
    present = {name for block in blocks for name in block.entries}
    return mean_ranks((block for block in blocks if not block.missing & present), present)


def worst_case_ranks(blocks: Iterable[Block]) -> dict[Learner, float]:
    """Mean rank if everyone that is missing from a block were last in it."""
    blocks = list(blocks)
    everyone = {name for block in blocks for name in block.entries.keys() | block.missing}
    return _mean(
        _stretched(
            block,
            block.ranks(block.entries)
            | dict.fromkeys(block.missing, float(len(block.entries) + len(block.missing))),
            everyone,
        )
        for block in blocks
    )


def _stretched(
    block: Block, ranks: Mapping[Learner, float], among: Collection[Learner]
) -> dict[Learner, float]:
    found = block.stretched(np.array(list(ranks.values())), len(ranks), among)
    return dict(zip(ranks, found.tolist(), strict=True))


def places(found: Mapping[Learner, float]) -> dict[Learner, int]:
    """Place each learner among those of its policy; equal mean ranks share the better place.

    References are placed only if there is nobody else: they stand in everyone's blocks.
    """
    only_references = all(policy == REFERENCE for policy, _ in found)
    return {
        (policy, algorithm): 1
        + sum(
            round(other, _DIGITS) < round(rank, _DIGITS)
            for (others_policy, _), other in found.items()
            if others_policy == policy
        )
        for (policy, algorithm), rank in found.items()
        if policy != REFERENCE or only_references
    }


def _mean(found: Iterable[Mapping[Learner, float]]) -> dict[Learner, float]:
    ranks: dict[Learner, list[float]] = defaultdict(list)
    for one in found:
        for name, rank in one.items():
            ranks[name].append(rank)
    return {name: float(np.mean(values)) for name, values in ranks.items()}
