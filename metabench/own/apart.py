"""Which episodes keep every group, such as a speaker, on one side. Needs no torch.

The sampler puts the groups of an episode in a random order and gives the first ones to the support
until each class has its shots; the others may be asked. It draws anew when that leaves a class too
few, and gives up after some attempts. How often one attempt succeeds hangs on the sizes of the
groups and on which classes they are in, so it is counted, on the labels alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

ATTEMPTS = 100
LEAST_RATE = 0.3
"""Share of attempts that must succeed: of 64 of them, all fail in one episode of ten billion."""


def numbered(groups: Sequence[str]) -> IntArray:
    """Number the groups of items from 0; an item without one is a group of its own."""
    number: dict[str, int] = {}
    return np.array(
        [number.setdefault(name or f"\0{n}", len(number)) for n, name in enumerate(groups)],
        dtype=np.int64,
    )


def can_be_drawn(classes: Sequence[IntArray], way: int, shots: Sequence[int], query: int) -> bool:
    """Whether the sampler finds group-disjoint episodes of each number of shots.

    Args:
        classes: The groups of each class's examples.
        way: Classes per episode.
        shots: Support examples per class.
        query: Query examples per class.
    """
    return all(_rate(classes, way, shot, query) >= LEAST_RATE for shot in shots)


def _rate(classes: Sequence[IntArray], way: int, shot: int, query: int) -> float:
    """Share of attempts in which every class has its queries in other groups."""
    large = [groups for groups in classes if len(groups) >= shot + query]
    if len(large) < way:
        return 0.0
    rng = np.random.Generator(np.random.Philox(0))
    found = 0
    for _ in range(ATTEMPTS):
        chosen = [large[number] for number in rng.permutation(len(large))[:way]]
        _, own = np.unique(np.concatenate(chosen), return_inverse=True)
        order = rng.permutation(own.max() + 1)[own]
        ranks = np.split(order, np.cumsum([len(groups) for groups in chosen])[:-1])
        border = max(int(np.partition(rank, shot - 1)[shot - 1]) for rank in ranks)
        found += all(int((rank > border).sum()) >= query for rank in ranks)
    return found / ATTEMPTS
