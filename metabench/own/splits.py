"""Which classes or tasks are for meta-training, validation and test.

The rule, for classes and tasks alike: in ascending order of the SHA-256 of their names, the first
30 per cent are for test and the next 20 per cent for validation, at least five each; the rest is
for meta-training. With fewer than 15 there is no validation, with fewer than 10 all are for test.
So the split hangs on the names alone, and not on the order of files or on their number.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from metabench.errors import UsageError, unknown_name
from metabench.own.data import pathname
from metabench.own.folder import SPLIT_NAMES

TEST_SHARE, VAL_SHARE = 0.3, 0.2
LEAST = 5
"""Classes of a split: an episode has five."""

Splits = dict[str, tuple[str, ...]]
"""Names of the classes or tasks of each split, in their order."""


def split_by_name(names: Iterable[str]) -> Splits:
    """Split classes or tasks by the rule.

    Args:
        names: Their names, in any order.

    Returns:
        The names of each split that has any, sorted.
    """
    order = sorted(names, key=lambda name: (hashlib.sha256(name.encode()).hexdigest(), name))
    if len(order) < 2 * LEAST:
        return {"test": tuple(sorted(order))}
    test = max(LEAST, round(TEST_SHARE * len(order)))
    val = max(LEAST, round(VAL_SHARE * len(order))) if len(order) >= 3 * LEAST else 0
    parts = {"train": order[test + val :], "val": order[test : test + val], "test": order[:test]}
    return {split: tuple(sorted(part)) for split, part in parts.items() if part}


def split_as_said(said: Mapping[str, str], names: Iterable[str], place: str) -> Splits:
    """Split classes or tasks as a column, a file or a layout says.

    Args:
        said: The split of each name; its order is that of the classes.
        names: All names.
        place: Where it is said, for the message.

    Returns:
        The names of each split that has any.

    Raises:
        UsageError: If nothing is for test.
    """
    known = set(names)
    found: dict[str, list[str]] = {}
    for name, split in said.items():
        if name in known:
            found.setdefault(split, []).append(name)
    if "test" not in found:
        raise UsageError(f"{place}: no class is for test; learners are compared on test classes")
    return {split: tuple(found[split]) for split in ("train", "val", "test") if split in found}


def read_split_file(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Read the split of each class or task.

    Args:
        path: Lines ``class,split``, or JSON: an object of classes with their split, or of splits
            with their list of classes.
        names: All classes or tasks.

    Returns:
        The split of each, in the order of the file.

    Raises:
        UsageError: If the file cannot be read, or names a class or split that does not exist, or
            a class twice.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"--split-file {pathname(path)} cannot be read ({error.strerror})"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"--split-file {pathname(path)} is not UTF-8 at byte {error.start}"
        ) from error
    pairs = _json_pairs(path, text) if text.lstrip().startswith("{") else _lines(path, text)
    known, said = set(names), dict[str, str]()
    for place, name, written in pairs:
        split = SPLIT_NAMES.get(written.strip().lower())
        if split is None:
            raise UsageError(
                f"{pathname(path)}: {place}: {written!r} is no split; write train, val or test"
            )
        if name not in known:
            raise UsageError(f"{pathname(path)}: {place}: {unknown_name('class', name, known)}")
        if said.setdefault(name, split) != split:
            raise UsageError(f"{pathname(path)}: {place}: {name!r} is in {said[name]} already")
    return said


def _lines(path: Path, text: str) -> Iterator[tuple[str, str, str]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    for row in reader:
        if not row or (reader.line_num == 1 and row[-1].strip().lower() == "split"):
            continue
        place = f"line {reader.line_num}"
        if len(row) != 2:  # noqa: PLR2004 - a pair
            raise UsageError(f"{pathname(path)}: {place}: {','.join(row)!r} is not class,split")
        yield place, row[0], row[1]


def _json_pairs(path: Path, text: str) -> Iterator[tuple[str, str, str]]:
    try:
        content: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{pathname(path)} is not JSON ({error})") from error
    for key, value in content.items():
        if isinstance(value, str):
            yield f"key {key!r}", key, value
        elif isinstance(value, list):
            for name in value:
                yield f"key {key!r}", str(name), key
        else:
            raise UsageError(
                f"{pathname(path)}: key {key!r}: a split, or a list of classes, is wanted"
            )
