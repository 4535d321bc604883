"""How episodes are shaped, and whether a pool can fill that shape. Needs no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from metabench.errors import InapplicableError

SupportRule = Literal["stratified", "balanced", "random", "groups"]

GROUP_ATTEMPTS = 64
"""How often a group-disjoint episode is drawn anew before it counts as impossible."""
MIN_UNEVEN_CLASS = 2
"""An uneven episode takes one support and one query example of a class at the least."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """The shape of an episode.

    Attributes:
        way: Classes per episode, or the smallest and largest number for a way drawn per episode.
        shot: Support examples per class; ``None`` for the imbalanced shots of Triantafillou et al.
            (2020), Meta-Dataset, section 3.2. In task pools the size of the support.
        query: Query examples per class (class pools) or in all (task pools); ``None`` takes every
            example that is not in the support (task pools) or Meta-Dataset's number.
        support: In task pools: ``stratified`` keeps each class's share, ``balanced`` takes
            equally many of each class, ``random`` looks at no target, and ``groups`` takes all
            examples of ``shot`` groups, such as whole demonstrations.
        draws: In task pools: support draws per test task.
        group_disjoint: Whether no group may be on both sides of an episode.
    """

    way: int | tuple[int, int] = 5
    shot: int | None = 1
    query: int | None = 15
    support: SupportRule = "stratified"
    draws: int = 10
    group_disjoint: bool = False

    @property
    def least_way(self) -> int:
        """The smallest way of an episode."""
        return self.way if isinstance(self.way, int) else self.way[0]

    @property
    def most_way(self) -> int:
        """The largest way of an episode."""
        return self.way if isinstance(self.way, int) else self.way[1]

    @property
    def uneven(self) -> bool:
        """Whether shots are drawn per class."""
        return self.shot is None

    @property
    def fixed_shape(self) -> bool:
        """Whether every episode from classes has the same way and shots."""
        return isinstance(self.way, int) and self.shot is not None

    @property
    def needs_groups(self) -> bool:
        """Whether episodes cannot be drawn without groups."""
        return self.group_disjoint or self.support == "groups"

    @property
    def class_examples(self) -> int:
        """Examples that a class must have to take part."""
        return MIN_UNEVEN_CLASS if self.shot is None else self.shot + (self.query or 1)

    def stream(self, source_digest: str, split: str, seed: int) -> tuple[int, int]:
        """Return the Philox key of the episodes of one split.

        Episode *i* is a function of this key and of *i* alone.
        """
        text = json.dumps([asdict(self), source_digest, split, seed], sort_keys=True)
        sha = hashlib.sha256(text.encode()).digest()
        return int.from_bytes(sha[:8], "little"), int.from_bytes(sha[8:16], "little")


def eligible_classes(split: str, sizes: Sequence[int], sampling: Sampling) -> list[int]:
    """Find the classes that have enough examples.

    Args:
        split: The split's name, for the message.
        sizes: Number of examples of each class.
        sampling: The shape to fill.

    Returns:
        Positions of the classes that are large enough.

    Raises:
        InapplicableError: If they are fewer than the way, with the numbers, or the number of
            queries is left open.
    """
    if sampling.shot is not None and not sampling.query:
        raise InapplicableError(
            f"episodes from classes need a number of queries per class, not query={sampling.query}"
        )
    need = sampling.class_examples
    eligible = [position for position, size in enumerate(sizes) if size >= need]
    if len(eligible) >= sampling.least_way:
        return eligible
    if len(sizes) < sampling.least_way:
        raise InapplicableError(
            f"{sampling.least_way}-way episodes need {sampling.least_way} classes and the {split} "
            f"split has {len(sizes)}"
        )
    shape = "" if sampling.shot is None else f" ({sampling.shot} shot + {sampling.query} query)"
    raise InapplicableError(
        f"{sampling.least_way}-way episodes need {sampling.least_way} classes of {need} examples"
        f"{shape} and the {split} split has {len(eligible)} (largest class {max(sizes)})"
    )
