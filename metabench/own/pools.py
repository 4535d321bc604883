"""Decoded items in pools of classes or of tasks, none of them twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from metabench.errors import UnavailableError
from metabench.own.plan import LEAST_CLASS, Plan, members_of, task_kind
from metabench.own.rows import IntArray, Rows, counted, listed
from metabench.tasks.data import ClassPool, Pool, Task, TaskData, TaskPool
from metabench.tasks.reading import ReadItems, identities


@dataclass(frozen=True)
class Decoded:
    """What is put into pools.

    Attributes:
        modality: Of the items.
        rows: All rows.
        plan: Which of them were read, and the splits.
        read: What became of these.
        notes: What was decided or left out; more are added.
    """

    modality: str
    rows: Rows
    plan: Plan
    read: ReadItems
    notes: list[str]

    @property
    def row_of(self) -> IntArray:
        """``[m]`` the row of each item that could be read."""
        return self.plan.items[self.read.kept]


def pooled(decoded: Decoded) -> TaskData:
    """Build the task data.

    Args:
        decoded: The items.

    Returns:
        One pool for each split in which something is left.

    Raises:
        UnavailableError: If nothing, or one class, is left for test.
    """
    pools = _task_pools if decoded.rows.targets else _class_pools
    kept, splits = pools(decoded)
    test = splits.get("test")
    if test is None or (isinstance(test, ClassPool) and len(test.names) == 1):
        left = f"only the class {test.names[0]!r}" if test is not None else "nothing"
        raise UnavailableError(
            f"{left} is left to test on; {'; '.join(decoded.notes)}",
            "add examples, or change the split",
        )
    read, rows = decoded.read, decoded.rows
    whole = len(kept) == len(read.kept) and bool((kept == np.arange(len(kept))).all())
    inputs = {name: tensor if whole else tensor[kept] for name, tensor in read.inputs.items()}
    groups = None
    if rows.groups is not None:
        groups = _numbered([rows.groups[row] for row in decoded.row_of[kept].tolist()])
    elif read.groups is not None:
        groups = _numbered([read.groups[position] for position in kept.tolist()])
    return TaskData(decoded.modality, inputs, splits, groups=groups, notes=tuple(decoded.notes))


def _numbered(names: Sequence[str]) -> IntArray:
    """Number groups in order of appearance; an example without one gets -1."""
    number: dict[str, int] = {}
    return np.array(
        [number.setdefault(name, len(number)) if name else -1 for name in names], dtype=np.int64
    )


def _class_pools(decoded: Decoded) -> tuple[IntArray, dict[str, Pool]]:
    """Keep the first of equal items, and the classes of which enough are left."""
    rows, plan = decoded.rows, decoded.plan
    labels = rows.labels[decoded.row_of]
    _, first, same = np.unique(identities(decoded.read), return_index=True, return_inverse=True)
    origin = first[same]
    decoded.notes.extend(_repeats(decoded, labels, origin))
    kept = np.flatnonzero(origin == np.arange(len(origin)))
    number = {name: position for position, name in enumerate(rows.names)}
    splits: dict[str, Pool] = {}
    small: list[str] = []
    for split, names in plan.splits.items():
        members = members_of(labels[kept], [number[name] for name in names])
        pairs = list(zip(names, members, strict=True))
        small += [name for name, items in pairs if len(items) < LEAST_CLASS]
        usable = [(name, items) for name, items in pairs if len(items) >= LEAST_CLASS]
        if usable:
            splits[split] = ClassPool(*map(tuple, zip(*usable, strict=True)))
    if small:
        decoded.notes.append(
            f"{counted(len(small), 'class')} left out, of which fewer than {LEAST_CLASS} examples "
            f"could be used: {listed(map(repr, small))}"
        )
    return kept, splits


def _repeats(decoded: Decoded, labels: IntArray, origin: IntArray) -> Iterator[str]:
    """Say how many repeated items are left out: they could be in support and query both."""
    rows, row_of = decoded.rows, decoded.row_of
    again = np.flatnonzero(origin != np.arange(len(origin)))
    if not len(again):
        return
    split_of = {name: split for split, names in decoded.plan.splits.items() for name in names}
    theirs, firsts = labels[again], labels[origin[again]]
    across = sum(
        split_of[rows.names[a]] != split_of[rows.names[b]]
        for a, b in zip(theirs.tolist(), firsts.tolist(), strict=True)
    )
    named = listed(
        f"{rows.places[int(row_of[n])]} (as {rows.places[int(row_of[origin[n]])]})" for n in again
    )
    yield (
        f"{counted(len(again), 'repeated item')} left out, the first kept: {named}; "
        f"{int((theirs != firsts).sum())} had another class, {across} were in another split"
    )


@dataclass
class _Items:
    """Distinct items in the order in which tasks first need them.

    Attributes:
        same: ``[m]`` number of each item's content.
        order: Positions of those that are needed.
    """

    same: IntArray
    order: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._place: dict[int, int] = {}

    def index(self, position: int) -> int:
        """Return where an item's content stands in the inputs."""
        content = int(self.same[position])
        if content not in self._place:
            self._place[content] = len(self.order)
            self.order.append(position)
        return self._place[content]


def _task_pools(decoded: Decoded) -> tuple[IntArray, dict[str, Pool]]:
    """Build a task of each column."""
    items = _Items(np.unique(identities(decoded.read), return_inverse=True)[1])
    kind = task_kind(decoded.rows)
    lost: Counter[str] = Counter()
    splits: dict[str, Pool] = {}
    useless: list[str] = []
    for split, names in decoded.plan.splits.items():
        tasks = []
        for name in names:
            found = _measured(decoded, name, items, lost)
            task = _regression(name, found) if kind == "regression" else _binary(name, found, lost)
            if task is None:
                useless.append(name)
            else:
                tasks.append(task)
        if tasks:
            splits[split] = TaskPool(tuple(tasks))
    if count := lost["contradictory"]:
        decoded.notes.append(
            f"{count} times an item had both labels in a task and was left out of it"
        )
    if count := lost["repeated"]:
        decoded.notes.append(f"{count} measurements repeat an item of their task")
    if useless:
        what = "values" if kind == "regression" else "classes"
        decoded.notes.append(
            f"tasks left out, of fewer than two {what}: {listed(map(repr, useless))}"
        )
    return np.array(items.order, np.int64), splits


def _measured(
    decoded: Decoded, name: str, items: _Items, lost: Counter[str]
) -> dict[int, list[float]]:
    """Collect the values of a task by item."""
    values = decoded.rows.targets[name][decoded.row_of]
    found: dict[int, list[float]] = {}
    for position in np.flatnonzero(np.isfinite(values)).tolist():
        item = items.index(position)
        lost["repeated"] += item in found
        found.setdefault(item, []).append(float(values[position]))
    return found


def _regression(name: str, found: Mapping[int, list[float]]) -> Task | None:
    """Take the mean of repeated measurements."""
    if len(found) < LEAST_CLASS:
        return None
    means = np.array([np.mean(values) for values in found.values()], dtype=np.float32)
    return Task(name, np.array(list(found), np.int64), means)


def _binary(name: str, found: Mapping[int, list[float]], lost: Counter[str]) -> Task | None:
    """Leave out items with both labels."""
    labels = {item: int(values[0]) for item, values in found.items() if len(set(values)) == 1}
    lost["contradictory"] += len(found) - len(labels)
    if len(set(labels.values())) < 2:  # noqa: PLR2004 - two classes
        return None
    return Task(name, np.array(list(labels), np.int64), np.array(list(labels.values()), np.int64))
