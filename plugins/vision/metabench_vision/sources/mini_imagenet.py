"""``mini-imagenet``: 100 classes of ImageNet under the split of Ravi and Larochelle (2017)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from metabench.errors import UnavailableError
from metabench.tasks.data import SPLITS, ClassPool, TaskData
from metabench.tasks.files import SourceContext
from metabench_vision.sources.images import AGAIN, Pixels, colour, read_bytes, read_table

ROOT = "vision/mini_imagenet"
SIZE = 84
CHUNK = 1024


def mini_imagenet(context: SourceContext) -> TaskData:
    """Load miniImageNet (Vinyals et al., 2016) with the split of Ravi and Larochelle (2017).

    64 / 16 / 20 classes of 600 images. The layout is theirs: ``images/*.jpg``, and ``train.csv``,
    ``val.csv`` and ``test.csv`` with the columns ``filename`` and ``label``. Images that are not
    84 x 84 are resized (Lanczos, aspect not kept). In full the pixels take 1.3 GB of memory.

    Args:
        context: Where ``vision/mini_imagenet`` is found.

    Returns:
        ``pixels`` ``[60000, 3, 84, 84]``.

    Raises:
        UnavailableError: If a file is missing or damaged, or a class is in two splits.
    """
    rows = {split: list(_rows(context, split)) for split in SPLITS}
    _check_disjoint({split: {label for _, _, label in rows[split]} for split in SPLITS})
    images = context.file(f"{ROOT}/images")
    listed = [row for split in SPLITS for row in rows[split]]
    pixels = np.empty((len(listed), 3, SIZE, SIZE), np.uint8)
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(listed), CHUNK):
            part = listed[start : start + CHUNK]
            loaded = pool.map(lambda row: _load(images / row[0], row[1]), part)
            for position, image in enumerate(loaded, start=start):
                pixels[position] = image
    splits = {}
    start = 0
    for split in SPLITS:
        names = sorted({label for _, _, label in rows[split]})
        labels = [names.index(label) for _, _, label in rows[split]]
        items = np.arange(start, start + len(labels))
        splits[split] = ClassPool.from_labels(labels, dict(enumerate(names)), items)
        start += len(labels)
    return TaskData("image", {"pixels": torch.from_numpy(pixels)}, splits)


def _rows(context: SourceContext, split: str) -> Iterator[tuple[str, str, str]]:
    """Yield file name, place in the CSV, and label."""
    path = context.file(f"{ROOT}/{split}.csv")
    for line, (file, label) in read_table(path, ("filename", "label")):
        place = f"{path} line {line}"
        if not file or not label or Path(file).name != file or "\\" in file:
            raise UnavailableError(f"{place}: {file!r} of class {label!r} is no file name", AGAIN)
        yield file, place, label


def _check_disjoint(classes: dict[str, set[str]]) -> None:
    for split, labels in classes.items():
        if not labels:
            raise UnavailableError(f"{ROOT}/{split}.csv lists no images", AGAIN)
        for other, others in classes.items():
            if split < other and (shared := sorted(labels & others)):
                raise UnavailableError(
                    f"{ROOT}: class {shared[0]} is in {split}.csv and in {other}.csv", AGAIN
                )


def _load(path: Path, listed: str) -> Pixels:
    if not path.is_file():
        raise UnavailableError(f"{listed}: {path} does not exist", AGAIN)
    return colour(read_bytes(path), str(path), SIZE)
