"""``omniglot-lake-runs``: the twenty one-shot runs of Lake, Salakhutdinov and Tenenbaum (2015)."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import numpy as np
import torch

from metabench.errors import UnavailableError
from metabench.tasks.data import ClassPool, Task, TaskData, TaskPool
from metabench.tasks.files import SourceContext
from metabench_vision.sources.images import AGAIN, Pixels, archive_or_folder, decode
from metabench_vision.sources.omniglot import DRAWERS, ROOT, SIZE, load_characters, shrink

ARCHIVE = f"{ROOT}/all_runs.zip"
BACKGROUND = "images_background"
RUNS = 20
WAY = 20
VAL_EVERY = 6
MEMBER = re.compile(r"(run\d\d)/(?:training/class|test/item)\d\d\.png")


def omniglot_lake_runs(context: SourceContext) -> TaskData:
    """Load Lake's runs as test tasks, and the background set to learn from.

    A test task has 20 characters of one alphabet of the evaluation set, one drawing of each by one
    person as support and one by another person as query; both are fixed upstream. Meta-training
    and validation see the background set only, without rotations: of its 30 alphabets, every sixth
    in alphabetical order validates (that division is ours).

    Args:
        context: Where ``vision/omniglot`` is found.

    Returns:
        ``pixels`` ``[n, 1, 28, 28]`` with ink = 255; groups are the background set's drawers.

    Raises:
        UnavailableError: If a file is missing or damaged.
    """
    characters = load_characters(context, BACKGROUND)
    if not characters:
        raise UnavailableError(f"{ROOT}/{BACKGROUND} holds no drawings", AGAIN)
    names = sorted(characters)
    alphabets = sorted({name.split("/")[0] for name in names})
    validating = set(alphabets[VAL_EVERY - 1 :: VAL_EVERY])
    members = np.arange(len(names) * DRAWERS, dtype=np.int64).reshape(-1, DRAWERS)
    splits: dict[str, ClassPool | TaskPool] = {}
    for split, chosen in (("train", set(alphabets) - validating), ("val", validating)):
        kept = [i for i, name in enumerate(names) if name.split("/")[0] in chosen]
        splits[split] = ClassPool(tuple(names[i] for i in kept), tuple(members[i] for i in kept))
    background = np.concatenate([characters[name] for name in names])
    runs, tasks = _runs(context, first=len(background))
    splits["test"] = TaskPool(tasks)
    pixels = np.concatenate([background, runs])[:, np.newaxis]
    groups = np.full(len(pixels), -1, np.int64)
    groups[: len(background)] = np.tile(np.arange(DRAWERS), len(names))
    note = "support and query of each test run are fixed upstream, by different drawers"
    inputs = {"pixels": torch.from_numpy(pixels)}
    return TaskData("image", inputs, splits, groups=groups, notes=(note,))


def _runs(context: SourceContext, first: int) -> tuple[Pixels, tuple[Task, ...]]:
    images: dict[str, Pixels] = {}
    for name, data, place in archive_or_folder(context, ARCHIVE, ".png"):
        name = name.removeprefix("all_runs/")  # noqa: PLW2901 - as a folder it has a parent
        if MEMBER.fullmatch(name):
            images[name] = shrink(decode(data, place))
    labels = {
        name.removeprefix("all_runs/"): (data, place)
        for name, data, place in archive_or_folder(context, ARCHIVE, "class_labels.txt")
    }
    pixels: list[Pixels] = []
    tasks = []
    for number in range(1, RUNS + 1):
        run = f"run{number:02d}"
        if f"{run}/class_labels.txt" not in labels:
            raise UnavailableError(f"{ARCHIVE}: {run}/class_labels.txt is missing", AGAIN)
        pairs = _pairs(*labels[f"{run}/class_labels.txt"])
        classes = sorted({trained for _, trained in pairs})
        files = [*classes, *(tested for tested, _ in pairs)]
        if absent := [file for file in files if file not in images]:
            raise UnavailableError(f"{ARCHIVE}: {absent[0]} is missing", AGAIN)
        targets = [*range(WAY), *(classes.index(trained) for _, trained in pairs)]
        start = first + len(pixels)
        pixels.extend(images[file] for file in files)
        tasks.append(
            Task(
                run,
                np.arange(start, start + len(files), dtype=np.int64),
                np.array(targets, np.int64),
                support=np.arange(WAY, dtype=np.int64),
                query=np.arange(WAY, 2 * WAY, dtype=np.int64),
            )
        )
    return np.stack(pixels).reshape(-1, SIZE, SIZE), tuple(tasks)


def _pairs(data: bytes, place: str) -> list[tuple[str, str]]:
    pairs = []
    for number, line in enumerate(data.decode("ascii", "replace").splitlines(), start=1):
        if not line.strip():
            continue
        match line.split():
            case [tested, trained]:
                pairs.append((str(PurePosixPath(tested)), str(PurePosixPath(trained))))
            case _:
                raise UnavailableError(
                    f"{place} line {number}: {line!r} does not name two images", AGAIN
                )
    if len(pairs) != WAY or len({trained for _, trained in pairs}) != WAY:
        raise UnavailableError(f"{place}: not {WAY} pairs of a query and its class", AGAIN)
    return pairs
