"""``grocery``: photographs of fruit, vegetables and packages, with a split by coarse class."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

import numpy as np
import torch

from metabench.errors import UnavailableError
from metabench.tasks.data import SPLITS, ClassPool, TaskData
from metabench.tasks.files import SourceContext
from metabench_vision.sources.images import (
    AGAIN,
    Pixels,
    archive_or_folder,
    colour,
    read_lines,
    read_table,
)

ROOT = "vision/grocery_store"
ARCHIVES = (f"{ROOT}/grocery_84.zip", f"{ROOT}/dataset.zip")
LISTS = ("train", "val", "test")
SIZE = 84
COLUMNS = ("Class Name (str)", "Class ID (int)", "Coarse Class Name (str)")


def grocery(context: SourceContext) -> TaskData:
    """Load the Grocery Store data set (Klasson, Zhang & Kjellström, 2019).

    All 5,421 natural images of the upstream lists, 84 x 84 RGB, in 81 fine classes. Upstream splits
    images and not classes, so the few-shot split is ours: ``grocery_split.txt``, by coarse class,
    so that no kind of apple is seen before the test if an apple is in it.

    The images come from ``grocery_84.zip`` (or the folder ``grocery_84``); without it from a folder
    ``dataset`` with the upstream photographs, which are then resized (Lanczos, aspect not kept).

    Args:
        context: Where ``vision/grocery_store`` is found.

    Returns:
        ``pixels`` ``[5421, 3, 84, 84]``, without groups: nothing says which images show the same
        shelf.

    Raises:
        UnavailableError: If a file is missing or damaged.
    """
    names, coarse = _classes(context)
    labels, row_of = _listed(context, set(names))
    pixels = np.zeros((len(labels), 3, SIZE, SIZE), np.uint8)
    for file, image in _images(context, row_of):
        pixels[row_of.pop(file)] = image
    if row_of:
        raise UnavailableError(
            f"{ROOT}: {next(iter(row_of))} and {len(row_of) - 1} more listed images are missing",
            AGAIN,
        )
    split_of = coarse_split()
    if unknown := sorted(set(coarse.values()) - set(split_of)):
        raise UnavailableError(f"{ROOT}/classes.csv: unknown coarse class {unknown[0]!r}", AGAIN)
    splits = {
        split: ClassPool.from_labels(
            labels, {i: name for i, name in names.items() if split_of[coarse[i]] == split}
        )
        for split in SPLITS
    }
    return TaskData("image", {"pixels": torch.from_numpy(pixels)}, splits)


def coarse_split() -> dict[str, str]:
    """Read our split: the name of each coarse class, and the split that it is in."""
    text = (resources.files(__package__) / "grocery_split.txt").read_text("utf-8")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return {coarse: split for split, coarse in lines}


def _classes(context: SourceContext) -> tuple[dict[int, str], dict[int, str]]:
    path = context.file(f"{ROOT}/classes.csv")
    names, coarse = {}, {}
    for line, (name, number, parent) in read_table(path, COLUMNS):
        if not number.isdecimal():
            raise UnavailableError(f"{path} line {line}: class ID {number!r}", AGAIN)
        names[int(number)] = name
        coarse[int(number)] = parent
    return names, coarse


def _listed(context: SourceContext, known: set[int]) -> tuple[list[int], dict[str, int]]:
    labels: list[int] = []
    row_of: dict[str, int] = {}
    for part in LISTS:
        path = context.file(f"{ROOT}/{part}.txt")
        for number, line in read_lines(path):
            fields = [value.strip() for value in line.split(",")]
            if len(fields) != 3 or not fields[1].isdecimal() or int(fields[1]) not in known:  # noqa: PLR2004
                raise UnavailableError(
                    f"{path} line {number}: {line!r} is not 'path, fine class, coarse class'", AGAIN
                )
            if fields[0] in row_of:
                raise UnavailableError(f"{path} line {number}: {fields[0]} is listed twice", AGAIN)
            row_of[fields[0]] = len(labels)
            labels.append(int(fields[1]))
    return labels, row_of


def _images(context: SourceContext, wanted: dict[str, int]) -> Iterator[tuple[str, Pixels]]:
    root = context.data_dir
    archive = ARCHIVES[0]
    if root is not None and not any(
        (root / name).exists() for name in (archive, archive.removesuffix(".zip"))
    ):
        folder = ARCHIVES[1].removesuffix(".zip")
        archive = ARCHIVES[1] if (root / folder).is_dir() else archive
    for name, data, place in archive_or_folder(context, archive, ".jpg"):
        file = name.partition("dataset/")[2]
        if file in wanted:
            yield file, colour(data, place, SIZE)
