"""Which items are exact copies of earlier ones, as far as that is told without decoding.

Repeated items are left out when they are decoded; what an episode may ask of a class is fitted
before that, to what will be left. Needs no torch.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from metabench.own.listing import FolderFiles, ZipFiles
from metabench.own.rows import IntArray

if TYPE_CHECKING:
    from metabench.tasks.reading import Item

END = 32 * 1024
"""Bytes at each end of a file that are compared, where two are of one size."""


def without_copies(items: Sequence[Item], positions: IntArray) -> IntArray:
    """Leave out what repeats an earlier item: a text, or a file of the same size and content.

    Args:
        items: All items; none, if they are not at hand.
        positions: Which of them are looked at, ascending.

    Returns:
        The positions of the first of each.
    """
    seen: set[Hashable] = set()
    first = np.ones(len(positions), dtype=bool)
    for number, content in enumerate(_contents(items, positions.tolist())):
        first[number] = content is None or content not in seen
        seen.add(content)
    return positions[first]


def _contents(items: Sequence[Item], positions: Sequence[int]) -> Sequence[Hashable]:
    """Return what stands for the content of each item; ``None`` where that is not cheap."""
    if isinstance(items, ZipFiles):
        return items.sums(positions)
    if isinstance(items, FolderFiles):
        return _files([items[position] for position in positions])
    if isinstance(items, list):
        return [item.strip() for item in (items[position] for position in positions)]
    return [None] * len(positions)


def _files(paths: Sequence[Path]) -> Sequence[Hashable]:
    sizes = [_size(path) for path in paths]
    alike = Counter(sizes)
    return [
        None if size is None else size if alike[size] == 1 else _ends(path, size)
        for path, size in zip(paths, sizes, strict=True)
    ]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return None


def _ends(path: Path, size: int) -> Hashable:
    try:
        with path.open("rb") as file:
            content = file.read(END)
            if size > len(content):
                file.seek(max(len(content), size - END), os.SEEK_SET)
                content += file.read(END)
    except OSError:
        return None
    return size, hashlib.blake2b(content, digest_size=16).digest()
