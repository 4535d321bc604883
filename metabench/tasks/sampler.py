"""The deterministic, batched episode sampler.

Episode *i* of a split depends on nothing but the sampling settings, the source's digest, the seed
and *i*. Random numbers come from Philox4x64 (Salmon et al., 2011), a counter-based generator: the
numbers of episode *i* are read at a position that *i* determines, so neither batch size nor worker
count nor order can change an episode.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from metabench.errors import InapplicableError
from metabench.tasks.data import ClassPool, IntArray, Pool, TaskPool
from metabench.tasks.sampling import GROUP_ATTEMPTS, Sampling, eligible_classes
from metabench.tasks.supports import large_enough, own_groups, task_sides

WORDS_PER_BLOCK = 4
EPISODE_BLOCKS = 2**40
"""Counter positions set apart for one episode of a sampler that draws a varying amount."""
META_DATASET_MAX_SUPPORT = 500
META_DATASET_MAX_CLASS = 100
META_DATASET_MAX_QUERY = 10


@dataclass(frozen=True)
class EpisodeBatch:
    """Episodes of equal shape, as indices into the source's inputs.

    Attributes:
        support: ``[B, S]`` support examples, in random order.
        support_targets: ``[B, S]`` labels ``0 .. way-1``, or ``[B, S, k]`` values in regression.
        query: ``[B, Q]`` query examples, in random order.
        query_targets: ``[B, Q]`` or ``[B, Q, k]``.
        way: Number of classes; in regression the number of outputs ``k``.
        origins: ``[B, way]`` which class of the pool each label stands for, or ``[B, 1]`` which
            task an episode was drawn from.
    """

    support: IntArray
    support_targets: npt.NDArray[np.generic]
    query: IntArray
    query_targets: npt.NDArray[np.generic]
    way: int
    origins: IntArray

    def __len__(self) -> int:
        """Return the number of episodes."""
        return len(self.support)


class EpisodeSampler:
    """Draws the episodes of one split.

    Args:
        pool: What to draw from.
        sampling: The shape of an episode.
        source_digest: The digest of the source's data.
        split: The split's name.
        seed: The seed.
        groups: ``[n]`` group of every example of the source, if it has groups.

    Raises:
        InapplicableError: If the pool cannot fill the shape.
    """

    def __init__(
        self,
        pool: Pool,
        sampling: Sampling,
        *,
        source_digest: str,
        split: str,
        seed: int,
        groups: IntArray | None = None,
    ) -> None:
        self.pool = pool
        self.sampling = sampling
        self.split = split
        self.stream = sampling.stream(source_digest, split, seed)
        self._key = np.array(self.stream, dtype=np.uint64)
        self.groups = groups
        self._draw: Callable[[int, int], list[EpisodeBatch]]
        if sampling.needs_groups and groups is None:
            what = (
                "group-disjoint episodes" if sampling.group_disjoint else "supports of whole groups"
            )
            raise InapplicableError(f"{what} need groups and the source has none")
        if isinstance(pool, TaskPool):
            self._numbers = large_enough(pool, sampling, split, groups)
            self._schedule = self._draws_in_turn(pool)
            self._draw = self._one_by_one(self._draw_task)
            return
        self._classes = np.array(eligible_classes(split, pool.sizes.tolist(), sampling))
        self._members = [pool.members[c] for c in self._classes]
        self._sizes = pool.sizes[self._classes]
        self._offsets = np.concatenate([[0], np.cumsum(self._sizes)[:-1]])
        self._flat = np.concatenate(self._members)
        if sampling.fixed_shape and not sampling.group_disjoint:
            self._draw = self._draw_even
        else:
            self._draw = self._one_by_one(self._draw_uneven)

    def test_episodes(self, requested: int) -> int:
        """Return how many test episodes there are: as requested, or draws times fixed tasks."""
        return requested if isinstance(self.pool, ClassPool) else len(self._schedule)

    def batches(self, start: int, stop: int, size: int) -> Iterator[EpisodeBatch]:
        """Yield episodes ``start .. stop-1`` in order, up to ``size`` of equal shape at a time.

        Args:
            start: First episode.
            stop: One past the last episode.
            size: Most episodes per batch.

        Yields:
            Batches whose episodes have equal shapes.
        """
        for first in range(start, stop, size):
            yield from self._draw(first, min(first + size, stop))

    def _words(self, first: int, stop: int, count: int) -> npt.NDArray[np.float64]:
        """``[stop-first, count]`` uniform numbers in [0, 1), addressed by episode."""
        blocks = -(-count // WORDS_PER_BLOCK)
        stream = np.random.Philox(key=self._key, counter=first * blocks)
        raw = stream.random_raw((stop - first) * blocks * WORDS_PER_BLOCK)
        uniform = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return uniform.reshape(stop - first, -1)[:, :count]

    def _generator(self, episode: int) -> np.random.Generator:
        return np.random.Generator(
            np.random.Philox(key=self._key, counter=episode * EPISODE_BLOCKS)
        )

    def _draw_even(self, first: int, stop: int) -> list[EpisodeBatch]:
        way, shot = self.sampling.least_way, self.sampling.shot or 0
        query = self.sampling.query or 0
        count, batch = shot + query, stop - first
        uniform = self._words(first, stop, way + 2 * way * count)
        chosen = _distinct(uniform[:, :way], np.full(batch, len(self._sizes)))
        picks = _distinct(
            uniform[:, way : way + way * count].reshape(batch * way, count),
            self._sizes[chosen].reshape(-1),
        ).reshape(batch, way, count)
        items = self._flat[self._offsets[chosen][:, :, None] + picks]
        labels = np.broadcast_to(np.arange(way)[None, :, None], items.shape)
        order = uniform[:, way + way * count :]
        support = _shuffled(
            items[:, :, :shot].reshape(batch, -1),
            labels[:, :, :shot].reshape(batch, -1),
            order[:, : way * shot],
        )
        asked = _shuffled(
            items[:, :, shot:].reshape(batch, -1),
            labels[:, :, shot:].reshape(batch, -1),
            order[:, way * shot :],
        )
        return [EpisodeBatch(*support, *asked, way, self._classes[chosen])]

    @staticmethod
    def _one_by_one(
        draw: Callable[[int], EpisodeBatch],
    ) -> Callable[[int, int], list[EpisodeBatch]]:
        """Draw a range of episodes singly; neighbours of equal shape become one batch."""

        def draw_range(first: int, stop: int) -> list[EpisodeBatch]:
            singles = [draw(episode) for episode in range(first, stop)]
            return [_stacked(list(alike)) for _, alike in groupby(singles, _shape)]

        return draw_range

    def _draw_uneven(self, episode: int) -> EpisodeBatch:
        rng = self._generator(episode)
        for _ in range(GROUP_ATTEMPTS if self.sampling.group_disjoint else 1):
            most = min(self.sampling.most_way, len(self._sizes))
            way = int(rng.integers(self.sampling.least_way, most + 1))
            chosen = rng.permutation(len(self._sizes))[:way]
            sides = self._sides(rng, chosen)
            if sides is not None:
                break
        else:
            shape = "uneven" if self.sampling.uneven else f"{self.sampling.shot}-shot"
            raise InapplicableError(
                f"no group-disjoint {self.sampling.least_way}-way {shape} "
                f"{self.sampling.query}-query episode of the {self.split} split was found in "
                f"{GROUP_ATTEMPTS} attempts (episode {episode})"
            )
        return EpisodeBatch(
            *_joined(rng, sides[0]), *_joined(rng, sides[1]), way, self._classes[chosen][None]
        )

    def _sides(
        self, rng: np.random.Generator, chosen: IntArray
    ) -> tuple[list[IntArray], list[IntArray]] | None:
        """Split the chosen classes' examples into support and query, per class."""
        available = [rng.permutation(self._members[c]) for c in chosen]
        shots, query = self._shots(rng, self._sizes[chosen])
        if not self.sampling.group_disjoint:
            return (
                [m[:k] for m, k in zip(available, shots, strict=True)],
                [m[k : k + query] for m, k in zip(available, shots, strict=True)],
            )
        ranks = self._group_ranks(rng, np.concatenate(available))
        per_class = [ranks[m] for m in available]
        if any(len(r) < k for r, k in zip(per_class, shots, strict=True)):
            return None
        border = max(np.sort(r)[k - 1] for r, k in zip(per_class, shots, strict=True))
        support = [m[r <= border][:k] for m, r, k in zip(available, per_class, shots, strict=True)]
        rest = [m[r > border] for m, r in zip(available, per_class, strict=True)]
        if any(len(m) < query for m in rest):
            return None
        return support, [m[:query] for m in rest]

    def _group_ranks(self, rng: np.random.Generator, items: IntArray) -> IntArray:
        """A random order of the groups, as the rank of each example's group, by example."""
        assert self.groups is not None
        own = own_groups(self.groups, items)
        order = rng.permutation(own.max() + 1)
        ranks = np.empty(len(self.groups), np.int64)
        ranks[items] = order[own]
        return ranks

    def _shots(self, rng: np.random.Generator, sizes: IntArray) -> tuple[list[int], int]:
        """Shots of each class and queries per class (Meta-Dataset, section 3.2, if uneven)."""
        if self.sampling.shot is not None:
            return [self.sampling.shot] * len(sizes), self.sampling.query or 1
        query = int(min(META_DATASET_MAX_QUERY, (sizes // 2).min()))
        rest = sizes - query
        fraction = 1.0 - rng.random()
        total = np.ceil(fraction * np.minimum(META_DATASET_MAX_CLASS, rest)).sum()
        total = int(min(META_DATASET_MAX_SUPPORT, total))
        share = np.exp(rng.uniform(np.log(0.5), np.log(2.0), len(sizes))) * sizes
        share = share / share.sum()
        shots = np.floor(share * max(total - len(sizes), 0)).astype(np.int64) + 1
        return np.minimum(shots, rest).tolist(), query

    def _draws_in_turn(self, pool: TaskPool) -> IntArray:
        """The task of each test episode: every task once, then every task again.

        So the first episodes already cover all tasks; a fixed support comes once.
        """
        fixed = np.array([pool.tasks[number].support is not None for number in self._numbers])
        again = self._numbers[~fixed]
        return np.concatenate([self._numbers, *[again] * (self.sampling.draws - 1)])

    def _draw_task(self, episode: int) -> EpisodeBatch:
        assert isinstance(self.pool, TaskPool)
        rng = self._generator(episode)
        if self.split == "train":
            number = int(rng.choice(self._numbers))
        else:
            number = int(self._schedule[episode % len(self._schedule)])
        task = self.pool.tasks[number]
        support, query = task_sides(rng, task, self.sampling, self.groups, self.split)
        return EpisodeBatch(
            task.items[support][None],
            task.targets[support][None],
            task.items[query][None],
            task.targets[query][None],
            task.way,
            np.array([[number]]),
        )


def episodes_digest(batches: Iterator[EpisodeBatch]) -> str:
    """SHA-256 of all indices and targets, episode by episode, whatever the batch size."""
    sha = hashlib.sha256()
    for batch in batches:
        shape = np.array([batch.way, batch.support.shape[1], batch.query.shape[1]], "<i8")
        for row in range(len(batch)):
            sha.update(shape.tobytes())
            for part in (
                batch.support, batch.support_targets, batch.query, batch.query_targets,
            ):  # fmt: skip
                kind = "<i8" if part.dtype.kind == "i" else "<f4"
                sha.update(part[row].astype(kind).tobytes())
    return sha.hexdigest()


def _distinct(uniform: npt.NDArray[np.float64], sizes: IntArray) -> IntArray:
    """Draw without replacement, in random order.

    Args:
        uniform: ``[M, k]`` numbers in [0, 1).
        sizes: ``[M]`` population sizes, each at least ``k``.

    Returns:
        ``[M, k]`` distinct integers below the size, uniform over ordered selections: the *j*-th
        draw is the ``floor(u · (size - j))``-th of the integers that are left.
    """
    rows, count = uniform.shape
    picks = np.empty((rows, count), np.int64)
    for j in range(count):
        pick = (uniform[:, j] * (sizes - j)).astype(np.int64)
        for earlier in np.sort(picks[:, :j], axis=1).T:
            pick += pick >= earlier
        picks[:, j] = pick
    return picks


def _shuffled(
    items: IntArray, labels: IntArray, keys: npt.NDArray[np.float64]
) -> tuple[IntArray, IntArray]:
    order = np.argsort(keys, axis=1, kind="stable")
    return np.take_along_axis(items, order, axis=1), np.take_along_axis(labels, order, axis=1)


def _shape(batch: EpisodeBatch) -> tuple[int, int, int]:
    return batch.way, batch.support.shape[1], batch.query.shape[1]


def _stacked(singles: list[EpisodeBatch]) -> EpisodeBatch:
    """Put episodes of equal shape into one batch."""
    return EpisodeBatch(
        np.concatenate([one.support for one in singles]),
        np.concatenate([one.support_targets for one in singles]),
        np.concatenate([one.query for one in singles]),
        np.concatenate([one.query_targets for one in singles]),
        singles[0].way,
        np.concatenate([one.origins for one in singles]),
    )


def _joined(rng: np.random.Generator, parts: list[IntArray]) -> tuple[IntArray, IntArray]:
    items = np.concatenate(parts)
    labels = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = rng.permutation(len(items))
    return items[order][None], labels[order][None]
