"""Pools that the sampler's tests share."""

from itertools import pairwise

import numpy as np

from metabench.tasks.data import ClassPool, Task, TaskPool
from metabench.tasks.sampler import EpisodeSampler, episodes_digest
from metabench.tasks.sampling import Sampling


def pool_of(sizes):
    """Classes ``c0, c1, ...`` of the given sizes, items numbered one class after the other."""
    starts = np.concatenate([[0], np.cumsum(sizes)])
    members = tuple(np.arange(a, b) for a, b in pairwise(starts))
    return ClassPool(tuple(f"c{n}" for n in range(len(sizes))), members)


def class_of(pool):
    """``[items]`` class of each item."""
    owner = np.full(int(pool.items.max()) + 1, -1)
    for number, members in enumerate(pool.members):
        owner[members] = number
    return owner


def binary_tasks(counts):
    """One task per ``(negatives, positives)``."""
    tasks, start = [], 0
    for number, (negative, positive) in enumerate(counts):
        items = np.arange(start, start + negative + positive)
        targets = np.repeat([0, 1], [negative, positive]).astype(np.int64)
        tasks.append(Task(f"t{number}", items, targets))
        start += len(items)
    return TaskPool(tuple(tasks))


def sampler_of(pool, *, seed=0, split="test", digest="d", groups=None, **shape):
    return EpisodeSampler(
        pool, Sampling(**shape), source_digest=digest, split=split, seed=seed, groups=groups
    )


def singles(sampler, start, stop, size=16):
    """Every episode as a tuple of plain lists."""
    return [
        (
            batch.way,
            batch.support[row].tolist(),
            batch.support_targets[row].tolist(),
            batch.query[row].tolist(),
            batch.query_targets[row].tolist(),
            batch.origins[row].tolist(),
        )
        for batch in sampler.batches(start, stop, size)
        for row in range(len(batch))
    ]


def digest(sampler, episodes=50, size=16):
    return episodes_digest(sampler.batches(0, episodes, size))
