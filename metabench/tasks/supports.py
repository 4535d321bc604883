"""Drawing the support of a fixed task, and what may then be asked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from metabench.errors import InapplicableError
from metabench.tasks.data import IntArray, Task, TaskPool
from metabench.tasks.sampling import GROUP_ATTEMPTS, Sampling


def large_enough(
    pool: TaskPool, sampling: Sampling, split: str, groups: IntArray | None
) -> IntArray:
    """Find the tasks that can fill the support and leave a query.

    Args:
        pool: The tasks.
        sampling: The shape to fill.
        split: The split's name, for the message.
        groups: ``[n]`` group of every example of the source, if it has groups.

    Returns:
        Their positions.

    Raises:
        InapplicableError: If there is none.
    """
    size = sampling.shot or 1
    numbers = [
        n
        for n, task in enumerate(pool.tasks)
        if _fits(task, support_size(task, sampling, split), sampling, groups)
    ]
    if numbers:
        return np.array(numbers, dtype=np.int64)
    if sampling.support == "groups":
        raise InapplicableError(
            f"a support of {size} groups leaves no query in any task of the {split} split"
        )
    largest = max((len(t.items) for t in pool.tasks), default=0)
    classes = min((t.way for t in pool.tasks), default=0)
    raise InapplicableError(
        f"a support of {size} leaves no query in any task of the {split} split, or has no room "
        f"for an example of each class (largest task {largest}, fewest classes {classes})"
    )


def support_size(task: Task, sampling: Sampling, split: str) -> int:
    """Return the size of a task's support.

    In meta-training a small task gives half of its examples, where the test asks for more: of
    FS-Mol's 4,935 training assays only 655 have more than 128 molecules.
    """
    size = sampling.shot or 1
    if split != "train" or sampling.support == "groups":
        return size
    return max(1, min(size, len(task.items) // 2))


def task_sides(
    rng: np.random.Generator, task: Task, sampling: Sampling, groups: IntArray | None, split: str
) -> tuple[IntArray, IntArray]:
    """Draw the support and the query of a task.

    Args:
        rng: Where random numbers come from.
        task: The task.
        sampling: The shape of the episode.
        split: The split that the task is of.
        groups: ``[n]`` group of every example of the source, if the sampling needs groups.

    Returns:
        Positions in the task's items, each side in random order.

    Raises:
        InapplicableError: If the support's groups leave no query.
    """
    if task.support is not None:
        rest = np.setdiff1d(np.arange(len(task.items)), task.support)
        asked = task.query if task.query is not None else rest
        return rng.permutation(task.support), rng.permutation(asked)
    for _ in range(GROUP_ATTEMPTS if sampling.needs_groups else 1):
        support, rest = _parted(rng, task, sampling, groups, split)
        if len(rest):
            query = rng.permutation(rest)
            return rng.permutation(support), query[: sampling.query]
    raise InapplicableError(
        f"a group-disjoint support of {sampling.shot} left no query in task {task.name!r} in "
        f"{GROUP_ATTEMPTS} attempts"
    )


def own_groups(groups: IntArray, items: IntArray) -> IntArray:
    """Number the groups of some examples from 0; one without a group is a group of its own."""
    own = groups[items]
    own = np.where(own < 0, own.max(initial=0) + 1 + np.arange(len(items)), own)
    numbered: IntArray = np.unique(own, return_inverse=True)[1].astype(np.int64)
    return numbered


def _parted(
    rng: np.random.Generator, task: Task, sampling: Sampling, groups: IntArray | None, split: str
) -> tuple[IntArray, IntArray]:
    """Draw a support; with it what may be asked: the rest, without the support's groups."""
    size, rule = support_size(task, sampling, split), sampling.support
    order = rng.permutation(len(task.items))
    own = ranks = None
    if sampling.needs_groups:
        # Filling the support group by group leaves the most groups to the query.
        assert groups is not None
        own = own_groups(groups, task.items)
        ranks = rng.permutation(own.max() + 1)[own]
        order = order[np.argsort(ranks[order], kind="stable")]
    if ranks is not None and rule == "groups":
        support = order[ranks[order] < size]
    elif rule == "random" or task.targets.dtype != np.int64:
        support = order[:size]
    else:
        support = _by_class(order, task.targets, size, rule)
    rest = np.setdiff1d(order, support)
    if own is not None:
        rest = rest[~np.isin(own[rest], own[support])]
    return support, rest


def _fits(task: Task, size: int, sampling: Sampling, groups: IntArray | None) -> bool:
    rule = sampling.support
    if task.support is not None:
        return task.query is None or len(task.query) > 0
    if sampling.needs_groups:
        assert groups is not None
        members = np.bincount(own_groups(groups, task.items))
        if rule == "groups":
            return len(members) > size
        if len(task.items) - int(members.min()) < size:  # no group would be left to be asked
            return False
    if rule != "random" and task.targets.dtype == np.int64 and len(np.unique(task.targets)) > size:
        return False
    return len(task.items) > size


def _by_class(order: IntArray, targets: npt.NDArray[np.generic], size: int, rule: str) -> IntArray:
    """Take ``size`` examples, by class share or equally, at least one of each class.

    Where a class has too few for an equal share, the others fill the support up.
    """
    labels, counts = np.unique(targets, return_counts=True)
    share = counts / counts.sum() if rule == "stratified" else np.full(len(labels), 1 / len(labels))
    take = np.clip(np.floor(share * size).astype(np.int64), 1, counts)
    while take.sum() < size:
        take[np.argmax(np.where(take < counts, share * size - take, -np.inf))] += 1
    while take.sum() > size:
        take[np.argmax(np.where(take > 1, take - share * size, -np.inf))] -= 1
    return np.concatenate(
        [order[targets[order] == label][:k] for label, k in zip(labels, take, strict=True)]
    )
