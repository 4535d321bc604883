"""A folder, or a .zip of one, with a folder of files for each class. Needs no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from metabench.errors import UsageError
from metabench.hookspecs import ReaderInfo
from metabench.own.data import OwnData, pathname
from metabench.own.listing import Listing, files_of, list_files
from metabench.own.readers import choose_by_files, suffix_of
from metabench.own.rows import Rows, counted, listed, printable, settle_similar

SPLIT_NAMES: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
SHOWN = 60
"""Characters that a message shows of a path that is none."""


def read_folder(own: OwnData, readers: Sequence[ReaderInfo]) -> tuple[Rows, ReaderInfo]:
    """List a folder and find its classes and the reader of its files.

    Args:
        own: Names the folder.
        readers: Those that are installed.

    Returns:
        The files that the reader reads, sorted by path, and the reader.

    Raises:
        UsageError: If there is no class, no file that can be read, or several kinds of file.
    """
    assert own.data_folder is not None
    listing = list_files(own.data_folder)
    if not listing.names:
        what = f"holds {_links(listing)} alone" if listing.links else "is empty"
        raise UsageError(
            f"{pathname(own.data_folder)} {what}; put the files of each class into a folder of "
            f"their own, {own.place}/CLASS/FILE"
        )
    parts = [name.split("/") for name in listing.names]
    depth = _depth(parts)
    inside = [n for n, split in enumerate(parts) if len(split) > depth + 1]
    if not inside:
        raise UsageError(
            f"{pathname(own.data_folder)} holds {counted(len(parts), 'file')} and no folder of "
            f"files; put the files of each class into a folder of their own, {own.place}/CLASS/FILE"
        )
    counts = Counter(suffix_of(listing.names[n]) for n in inside)
    reader = choose_by_files(own, counts, readers)
    chosen = [n for n in inside if listing.names[n].lower().endswith(reader.suffixes)]
    rows = _rows(own, listing, [parts[n] for n in chosen], depth)
    rows.suffix_counts = Counter(suffix_of("/".join(parts[n])) for n in chosen)
    rows.notes += _deeper(listing, [parts[n] for n in chosen], depth)
    if listing.links:
        named = listed(map(printable, listing.links))
        rows.notes.append(f"{_links(listing)} left out, for no link is followed there: {named}")
    left = len(parts) - len(chosen)
    if left:
        picked = set(chosen)
        others = [printable(listing.names[n]) for n in range(len(parts)) if n not in picked]
        rows.notes.append(f"{counted(left, 'file')} of other kinds left out: {listed(others)}")
    return rows, reader


def _links(listing: Listing) -> str:
    return f"{counted(len(listing.links), 'link')} to folders or to nothing"


def _deeper(listing: Listing, parts: Sequence[Sequence[str]], depth: int) -> list[str]:
    """Say which folders inside those of the classes could have been meant for classes."""
    inside = [split for split in parts if len(split) > depth + 2]
    deeper = {tuple(split[depth:-1]) for split in inside}  # once, if it is in train and in test
    if not deeper:
        return []
    classes = {folder[0] for folder in deeper}
    first = "/".join(printable(name) for name in min(map(tuple, inside))[: depth + 1])
    are = "is" if len(deeper) == 1 else "are"
    unpacked = "unpack it and " if listing.root.is_file() else ""
    note = (
        f"{counted(len(deeper), 'deeper folder')} {are} taken as part of "
        f"{counted(len(classes), 'class')}; to tell them apart, {unpacked}name the folder below, "
        f"such as {listing.root.stem if unpacked else listing.root.name}/{first}"
    )
    return [note]


def _depth(parts: Sequence[Sequence[str]]) -> int:
    """How many folders lie above those of the classes: one for a packed folder, one for splits."""
    depth = 0
    while True:
        inside = [split for split in parts if len(split) > depth + 1]
        tops = {split[depth].lower() for split in inside}
        deeper = sum(len(split) > depth + 2 for split in inside)
        if 2 * deeper <= len(inside):  # but for a note or two, the files of classes lie here
            return depth
        if tops <= SPLIT_NAMES.keys():
            return depth + 1
        if len(tops) > 1:
            return depth
        depth += 1  # a folder around everything, as in an archive


def _rows(own: OwnData, listing: Listing, parts: Sequence[Sequence[str]], depth: int) -> Rows:
    written = [printable(split[depth]) for split in parts]
    names = sorted(set(written))
    number = {name: position for position, name in enumerate(names)}
    labels = np.array([number[name] for name in written], dtype=np.int64)
    paths = ["/".join(split) for split in parts]
    kept, labels, notes = settle_similar(names, labels, own)
    rows = Rows(
        items=files_of(listing, paths),
        places=[printable(path) for path in paths],
        names=kept,
        labels=labels,
        files=(listing.root,) if listing.root.is_file() else (),
        digest=listing.digest,
        notes=notes,
    )
    above = {split[depth - 1].lower() for split in parts} if depth else set()
    if above and above <= SPLIT_NAMES.keys():
        rows.splits, note = splits_of(
            (kept[label] for label in labels), (split[depth - 1] for split in parts)
        )
        rows.notes.append(note)
    return rows


def splits_of(classes: object, splits: object) -> tuple[dict[str, str] | None, str]:
    """Take the splits of a layout if they hold different classes; they mostly hold all of them.

    Args:
        classes: The class of each item.
        splits: The name of the split of each item.

    Returns:
        The split of each class, or ``None`` if a class is in two; and a note.
    """
    found: dict[str, str] = {}
    for name, split in zip(classes, splits, strict=True):  # type: ignore[call-overload]
        own = SPLIT_NAMES[split.lower()]
        if found.setdefault(name, own) != own:
            return None, "train, val and test merged: they hold the same classes"
    return found, "classes split as the data are: train, val and test hold different ones"


def inside(folder: Path, written: str, place: str) -> Path:
    """Find a file of a table below the table's folder.

    Args:
        folder: The table's folder.
        written: The path as the table has it.
        place: Its row, for the message.

    Raises:
        UsageError: If the path leads out of the folder, by itself or by a link, or can be none.
    """
    path = folder / written
    try:
        real = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a zero byte
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{place}: {printable(written[:SHOWN])!r} is no path ({reason}); correct it, or leave "
            "it blank"
        ) from error
    if not real.is_relative_to(folder.resolve()):
        raise UsageError(
            f"{place}: {written!r} leads out of {pathname(folder)}; copy the file into it, "
            "and write the path from there"
        )
    return path
