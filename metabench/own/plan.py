"""Which items, classes and tasks take part, and in which episodes. Needs no torch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from metabench.errors import UsageError
from metabench.own.apart import can_be_drawn, numbered
from metabench.own.data import OwnData, pathname
from metabench.own.repeats import without_copies
from metabench.own.rows import IntArray, Rows, counted, listed
from metabench.own.splits import Splits, read_split_file, split_as_said, split_by_name

FloatArray = npt.NDArray[np.float64]

LEAST_CLASS = 2
"""Examples of a class: one to learn from and one to be asked."""
CLASS_FLOOR = 20
"""Examples that no class is reduced below: five to learn from and fifteen to be asked."""
MOST_TAKE_PART = 0.8
"""Share of the classes or tasks whose size the shots and queries are fitted to."""
MOST_QUERIES = 15
TASK_SHOTS = (16, 64)
TASK_QUERY = 128


@dataclass(frozen=True)
class Plan:
    """What is read, and how it is split.

    Attributes:
        items: Positions of the rows that are read, ascending.
        splits: The classes or tasks of each split.
        sizes: ``[test classes or tasks]`` how many examples each has, before decoding.
        notes: What was decided or left out.
    """

    items: IntArray
    splits: Splits
    sizes: tuple[int, ...]
    notes: tuple[str, ...]


def make_plan(own: OwnData, rows: Rows) -> Plan:
    """Choose the classes or tasks and their items, and split them.

    Args:
        own: Settings of the split, and how many items are kept.
        rows: What there is.

    Raises:
        UsageError: If there are not two classes, or the split is unusable.
    """
    return _plan_tasks(own, rows) if rows.targets else _plan_classes(own, rows)


def _plan_classes(own: OwnData, rows: Rows) -> Plan:
    notes = []
    sizes = rows.sizes
    small = [n for n, size in enumerate(sizes) if size < LEAST_CLASS]
    usable = [n for n, size in enumerate(sizes) if size >= LEAST_CLASS]
    if small:
        named = listed(repr(rows.names[n]) for n in small)
        plural = "classes" if len(small) > 1 else "class"
        notes.append(f"{len(small)} {plural} with one example left out: {named}")
    if rows.groups is not None:
        usable, note = _of_several_groups(own, rows, usable)
        notes += [note] if note else []
    if len(usable) < 2:  # noqa: PLR2004 - to tell apart
        found = f"the one class {rows.names[usable[0]]!r}" if usable else "no class"
        after = f", after {' and '.join(notes)}" if notes else ""
        raise UsageError(
            f"{own.place} holds {found} with {LEAST_CLASS} examples or more{after}; two classes "
            "are needed, for there to be anything to tell apart"
        )
    names = [rows.names[n] for n in usable]
    splits, note = _splits(own, rows, names, "class")
    notes.append(note)
    taken = {name for part in splits.values() for name in part}
    if out := [name for name in names if name not in taken]:
        notes.append(f"{counted(len(out), 'class')} in no split left out: {listed(map(repr, out))}")
    number = {name: position for position, name in enumerate(rows.names)}
    classes = sorted(number[name] for name in taken)
    items, reduced = _capped(rows, classes, own.max_items)
    kept = np.bincount(rows.labels[items], minlength=len(rows.names))
    if lost := [name for name in taken if not kept[number[name]]]:
        splits = {s: tuple(n for n in part if kept[number[n]]) for s, part in splits.items()}
        reduced += f"; {counted(len(lost), 'class')} left out altogether"
    if reduced:
        notes.append(reduced)
    test = tuple(int(kept[number[name]]) for name in splits["test"])
    if len(test) < 2:  # noqa: PLR2004 - to tell apart
        raise UsageError(f"{own.place}: one class is for test, {splits['test']}; two are needed")
    return Plan(items, splits, test, tuple(notes))


def _of_several_groups(own: OwnData, rows: Rows, classes: list[int]) -> tuple[list[int], str]:
    """Leave out classes of one group, which cannot be on both sides of an episode."""
    assert rows.groups is not None
    groups = numbered(rows.groups)
    members = members_of(rows.labels, classes)
    single = {n for n, items in zip(classes, members, strict=True)
              if len(np.unique(groups[items])) == 1}  # fmt: skip
    if not single:
        return classes, ""
    named = listed(repr(rows.names[n]) for n in sorted(single))
    return [n for n in classes if n not in single], (
        f"{counted(len(single), 'class')} with one {own.group!r} only left out, which cannot be on "
        f"both sides of an episode: {named}"
    )


@dataclass(frozen=True)
class Distinct:
    """What is left of the classes when exact copies are left out.

    Attributes:
        sizes: ``[test classes or tasks]`` how many examples each has.
        groups: For each split, the groups of each class's examples, where there are groups.
    """

    sizes: tuple[int, ...]
    groups: tuple[tuple[IntArray, ...], ...] = ()


def distinct(rows: Rows, plan: Plan) -> Distinct:
    """Look for exact copies, which decoding will leave out, among the items that are read.

    Args:
        rows: What there is.
        plan: Which of them are read, and the splits.
    """
    items = without_copies(rows.items, plan.items)
    if rows.targets:
        return Distinct(tuple(_apart(rows, items, rows.targets[n]) for n in plan.splits["test"]))
    number = {name: position for position, name in enumerate(rows.names)}
    members = {
        split: members_of(rows.labels[items], [number[name] for name in names])
        for split, names in plan.splits.items()
    }
    sizes = tuple(len(own) for own in members["test"] if len(own) >= LEAST_CLASS)
    if rows.groups is None or len(sizes) < 2:  # noqa: PLR2004 - to tell apart
        return Distinct(sizes if len(sizes) > 1 else plan.sizes)
    groups = numbered(rows.groups)[items]
    return Distinct(sizes, tuple(tuple(groups[own] for own in m) for m in members.values()))


def _capped(rows: Rows, classes: Sequence[int], most: int) -> tuple[IntArray, str]:
    """Take at most so many items: the largest classes give way first, then whole classes.

    Which items of a class stay hangs on the class and on their order alone.
    """
    members = dict(zip(classes, members_of(rows.labels, classes), strict=True))
    sizes = np.array([len(members[number]) for number in classes])
    total = int(sizes.sum())
    if not most or total <= most:
        every = np.sort(np.concatenate(list(members.values())))
        return every, ""
    share = max(CLASS_FLOOR, _water_level(sizes, most))
    order = sorted(classes, key=lambda number: _draw(rows.names[number]))
    kept: list[IntArray] = []
    room = most
    for number in order:
        own = members[number]
        if len(own) > share:
            seed = int.from_bytes(_draw(rows.names[number])[:8], "little")
            chosen = np.random.Generator(np.random.Philox(seed)).permutation(len(own))[:share]
            own = own[np.sort(chosen)]
        if len(own) <= room:
            kept.append(own)
            room -= len(own)
    items = np.sort(np.concatenate(kept)) if kept else np.empty(0, np.int64)
    return items, (
        f"{len(items):,} of {total:,} examples kept, at most {share:,} of a class "
        "(--max-items 0 keeps all)"
    )


def members_of(labels: IntArray, classes: Sequence[int]) -> list[IntArray]:
    """Return the ascending positions of each class, of many classes in many items too."""
    order = np.argsort(labels, kind="stable")
    wanted = np.asarray(classes, dtype=np.int64)
    starts = np.searchsorted(labels[order], wanted, side="left")
    ends = np.searchsorted(labels[order], wanted, side="right")
    return [order[start:end] for start, end in zip(starts, ends, strict=True)]


def _water_level(sizes: IntArray, most: int) -> int:
    """The largest number to which all sizes may be cut so that their sum is within bounds."""
    low, high = 0, int(sizes.max())
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(sizes, middle).sum() <= most else (low, middle - 1)
    return low


def _draw(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _plan_tasks(own: OwnData, rows: Rows) -> Plan:
    splits, note = _splits(own, rows, list(rows.targets), "task")
    notes = [note]
    count = len(next(iter(rows.targets.values())))
    items = np.arange(count)
    if own.max_items and count > own.max_items:
        seed = int.from_bytes(_draw(own.place)[:8], "little")
        chosen = np.random.Generator(np.random.Philox(seed)).permutation(count)[: own.max_items]
        items = np.sort(chosen)
        notes.append(f"{len(items):,} of {count:,} rows kept (--max-items 0 keeps all)")
    sizes = tuple(_apart(rows, items, rows.targets[name]) for name in splits["test"])
    return Plan(items, splits, sizes, tuple(notes))


def _apart(rows: Rows, items: IntArray, values: FloatArray) -> int:
    """Count the examples of a task; of its largest group none, for it may be on one side only."""
    measured = items[np.isfinite(values[items])]
    if rows.groups is None or not len(measured):
        return len(measured)
    groups = numbered([rows.groups[n] for n in measured.tolist()])
    return len(measured) - int(np.bincount(groups).max())


def _splits(own: OwnData, rows: Rows, names: Sequence[str], what: str) -> tuple[Splits, str]:
    if own.split_file is not None:
        said = read_split_file(own.split_file, rows.targets or rows.names)
        splits = split_as_said(said, names, pathname(own.split_file))
        how = f"as {own.split_file.name} says"
    elif rows.splits is not None:
        splits = split_as_said(dict(sorted(rows.splits.items())), names, own.place)
        how = f"as column {own.split_column!r} says" if own.split_column else "as the data are"
    else:
        splits = split_by_name(names)
        how = "by their names"
        if len(splits) == 1:
            how = "all for test, too few to meta-train on"
    told = ", ".join(f"{len(part)} {split}" for split, part in splits.items())
    plural = f"{what}es" if what.endswith("s") else f"{what}s"
    return splits, f"{plural} split {how}: {told}" if len(splits) > 1 else (
        f"{told} {plural}: {how}"
    )


def task_kind(rows: Rows) -> str:
    """Tell classes from assays and from values.

    Raises:
        UsageError: If some columns hold 0 and 1 and others hold numbers.
    """
    if not rows.targets:
        return "classification"
    binary = {
        name: bool(np.isin(column[np.isfinite(column)], (0, 1)).all())
        for name, column in rows.targets.items()
    }
    if all(binary.values()):
        return "binary"
    if any(binary.values()):
        yes = listed(name for name, own in binary.items() if own)
        no = listed(name for name, own in binary.items() if not own)
        raise UsageError(f"--targets: {yes} hold 0 and 1, and {no} hold numbers; run them apart")
    return "regression"


def settings(
    kind: str,
    sizes: Sequence[int],
    shots: Sequence[int | str],
    way: int | str,
    query: int,
    *,
    groups: Sequence[Sequence[IntArray]] = (),
    grouped: bool = False,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Fit the shape of an episode to the data.

    A class gives at most half of its examples to the support. Shots and queries are fitted to the
    size that four in five of the test classes reach, so that one small class does not shrink all.
    Where groups have to stay on one side, they shrink until such episodes are found.

    Args:
        kind: The kind of task.
        sizes: Examples of each test class or task.
        shots: What the suite or the user asks for.
        way: The suite's.
        query: The suite's.
        groups: For each split, the groups of each class's examples, where they matter.
        grouped: Whether sizes of tasks are those outside of their largest group.

    Returns:
        Settings that depart from the suite's, and notes.
    """
    if kind != "classification":
        return _task_settings(sizes, grouped=grouped)
    numbers = [shot for shot in shots if isinstance(shot, int)]
    if not numbers or not isinstance(way, int):
        return {}, ()
    ways = min(way, len(sizes))
    why_ways = f"there are {ways} test classes"
    size = _common_size(sizes, ways)
    wanted, queries = _shape(size, numbers, query)
    why = f"most test classes have {size} examples"
    fits = [part for part in groups if len(part) >= ways]
    if fits and not all(can_be_drawn(part, ways, wanted, queries) for part in fits):
        found_ways, wanted, queries = _apart_shape(fits, ways, numbers, query, size)
        why = "with more, groups could not be kept on one side"
        why_ways = why if found_ways < ways else why_ways
        ways = found_ways
    found: dict[str, Any] = {}
    notes = []
    if ways < way:
        found["way"] = ways
        notes.append(f"{ways}-way episodes: {why_ways}")
    if wanted != numbers:
        found["shots"] = list(dict.fromkeys(wanted))
    if queries < query:
        found["query"] = queries
    if {"shots", "query"} & found.keys():
        told = ", ".join(map(str, dict.fromkeys(wanted)))
        notes.append(
            f"{told} shots and {counted(queries, 'query').replace('querys', 'queries')} of a "
            f"class: {why}"
        )
    need = max(wanted) + queries
    if small := sum(each < need for each in sizes):
        notes.append(f"{counted(small, 'test class')} of fewer than {need} examples left aside")
    return found, tuple(notes)


def _shape(size: int, shots: Sequence[int], query: int) -> tuple[list[int], int]:
    """Shots and queries of a class of some size."""
    wanted = [min(shot, max(1, size // 2)) for shot in shots]
    return wanted, max(1, min(query, size - max(wanted)))


def _apart_shape(
    parts: Sequence[Sequence[IntArray]], ways: int, shots: Sequence[int], query: int, size: int
) -> tuple[int, list[int], int]:
    """The largest way, and then the largest shots and queries, of which episodes are found."""
    most = min(size, max(2 * max(shots), max(shots) + query))
    for way in range(ways, 1, -1):
        room = most
        while room >= LEAST_CLASS:
            wanted, queries = _shape(room, shots, query)
            if all(can_be_drawn(part, way, wanted, queries) for part in parts):
                return way, wanted, queries
            room = min(room - 1, int(0.85 * room))
    return 2, [1] * len(shots), 1


def flags_that_fit(sizes: Sequence[int], way: int) -> str:
    """Name an episode that the classes can fill; nothing if there is none.

    Args:
        sizes: Examples of each test class.
        way: Classes per episode, as asked for.
    """
    sizes = [size for size in sizes if size >= LEAST_CLASS]
    ways = min(way, len(sizes))
    if ways < 2:  # noqa: PLR2004 - to tell apart
        return ""
    less = f"--way {ways} " if ways < way else ""
    return f"{less}--shots 1 --queries {min(MOST_QUERIES, _common_size(sizes, ways) - 1)}"


def _task_settings(
    sizes: Sequence[int], *, grouped: bool
) -> tuple[dict[str, Any], tuple[str, ...]]:
    size = _common_size(sizes, 1)
    shots = list(dict.fromkeys(min(shot, max(1, size // 2)) for shot in TASK_SHOTS))
    rest = size - max(shots)
    found: Mapping[str, Any] = {
        "shots": shots,
        "query": TASK_QUERY if rest >= TASK_QUERY else "rest",
        "support": "stratified",
        "draws": 10,
    }
    told = " and ".join(map(str, shots))
    outside = " outside of their largest group" if grouped else ""
    return dict(found), (f"supports of {told} examples: most test tasks have {size:,}{outside}",)


def _common_size(sizes: Sequence[int], least: int) -> int:
    """The size that most reach, and at least so many."""
    order = sorted(sizes, reverse=True)
    return order[max(least, math.ceil(MOST_TAKE_PART * len(order))) - 1]
