"""Labelled items of a user before anything is decoded. Needs no torch."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metabench.errors import UsageError
from metabench.own.data import OwnData

if TYPE_CHECKING:
    from metabench.tasks.reading import Item

IntArray = npt.NDArray[np.int64]
NAMED = 3
"""How many examples a note names; the others are counted."""
UNLABELLED = -1


@dataclass
class Rows:
    """Items with their labels, in an order that does not depend on the machine.

    Attributes:
        items: Read lazily.
        places: What each one is called in messages; a file's path, or a row's number.
        names: The classes, sorted.
        labels: ``[n]`` position of each one's class; -1 where there is none. Empty for targets.
        targets: ``[n]`` values of each task, NaN where nothing was measured.
        groups: ``[n]`` group of each one, empty for none.
        splits: The split of each class or task, if the data say it.
        suffix_counts: For files, how many there are of each suffix.
        files: Files that decide what is here.
        digest: Changes with the data, as far as that can be told without decoding.
        notes: What was decided or left out.
    """

    items: Sequence[Item]
    places: Sequence[str]
    names: tuple[str, ...] = ()
    labels: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    targets: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    groups: Sequence[str] | None = None
    splits: Mapping[str, str] | None = None
    suffix_counts: Mapping[str, int] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    digest: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def sizes(self) -> IntArray:
        """``[classes]`` number of items of each class."""
        return np.bincount(self.labels[self.labels >= 0], minlength=len(self.names))


class Places(Sequence[str]):
    """``row 2``, ``row 3``, ... of a table whose header is row 1.

    Args:
        rows: ``[n]`` numbers of the rows.
    """

    def __init__(self, rows: IntArray) -> None:
        self.rows = rows

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        """Name one row."""
        return f"row {self.rows[index]}"


def listed(names: Iterable[str], most: int = NAMED) -> str:
    """Return the first names and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def printable(name: str) -> str:
    """Return a file name, which may hold any bytes, as it can be written and shown."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) == "Cc" else c for c in text
    )


def counted(number: int, noun: str) -> str:
    """Return ``1 class`` or ``2 classes``."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def settle_similar(
    names: Sequence[str], labels: IntArray, own: OwnData
) -> tuple[tuple[str, ...], IntArray, list[str]]:
    """Ask about labels that differ only in case or space, or do what was answered.

    Args:
        names: The classes, sorted.
        labels: ``[n]`` position of each item's class.
        own: Says whether to keep or to merge them.

    Returns:
        The classes and labels that follow, and notes.

    Raises:
        UsageError: If there are such labels and nothing was said of them.
    """
    alike: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        alike.setdefault(re.sub(r"\s+", " ", name).strip().casefold(), []).append(position)
    groups = [members for members in alike.values() if len(members) > 1]
    if not groups or own.similar_labels == "keep":
        return tuple(names), labels, []
    told = "; ".join(" and ".join(repr(names[m]) for m in members) for members in groups[:NAMED])
    more = f" and {len(groups) - NAMED} more" if len(groups) > NAMED else ""
    if own.similar_labels == "ask":
        raise UsageError(
            f"{own.place}: labels that differ only in case or space: {told}{more}; say "
            "--similar-labels merge if they are one class, --similar-labels keep if they are not"
        )
    sizes = np.bincount(labels[labels >= 0], minlength=len(names))
    to = np.arange(len(names))
    for members in groups:  # the name that most items have
        to[members] = max(members, key=lambda m: (int(sizes[m]), -m))
    kept, where = np.unique(to, return_inverse=True)
    merged = np.where(labels >= 0, where[labels], UNLABELLED)
    note = f"labels that differ only in case or space merged: {told}{more}"
    return tuple(names[k] for k in kept), merged, [note]
