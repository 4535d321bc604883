"""Labelled recordings to task data: one length, committed splits, and what was left out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import torch

from metabench.errors import UnavailableError
from metabench.tasks.data import ClassPool, TaskData
from metabench_speech.decoding import RATE, BadRecording, Waveform, decode

MODALITY = "audio"
NAMED = 3
"""Recordings that a note names; the others are counted."""

Splits = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Recording:
    """One labelled file.

    Attributes:
        content: Its bytes.
        label: The name of its class.
        group: What it must not share with an example on the other side of an episode, such as its
            speaker.
        place: The archive and the member, for messages.
    """

    content: bytes
    label: str
    group: str
    place: str


@cache
def committed_split(name: str) -> dict[str, tuple[str, ...]]:
    """Read ``data/splits/<name>.json``, a list of classes for each split."""
    path = resources.files("metabench_speech") / "data" / "splits" / f"{name}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    return {split: tuple(content[split]) for split in ("train", "val", "test") if split in content}


def task_data(
    source: str,
    recordings: Iterable[Recording],
    splits: Splits,
    seconds: float,
    notes: Iterable[str] = (),
) -> TaskData:
    """Decode recordings and build the task data of a source.

    A recording that cannot be used is left out and counted in the notes with the first names; the
    others stay. Longer ones are cut to ``seconds`` and counted too.

    Args:
        source: Its name, for error messages.
        recordings: In an order that does not depend on the machine.
        splits: The classes of each split.
        seconds: The length of a waveform.
        notes: What was decided while reading.

    Returns:
        One pool per split.

    Raises:
        UnavailableError: If a recording is of a class in no split, or a class has no recording that
            can be used.
    """
    number = {name: i for i, name in enumerate(n for names in splits.values() for n in names)}
    size = round(seconds * RATE)
    waves: list[Waveform] = []
    labels: list[int] = []
    groups: list[str] = []
    refused: list[str] = []
    cut = 0
    for recording in recordings:
        if recording.label not in number:
            raise UnavailableError(
                f"{recording.place}: class {recording.label!r} is in no split of {source}",
                "get the upstream file again",
            )
        try:
            wave = decode(recording.content)
        except BadRecording as reason:
            refused.append(f"{recording.place} ({reason})")
            continue
        cut += len(wave) > size
        waves.append(wave[:size].copy())
        labels.append(number[recording.label])
        groups.append(recording.group)
    _check_classes(source, number, labels, refused)
    said = list(notes)
    if refused:
        more = f" and {len(refused) - NAMED} more" if len(refused) > NAMED else ""
        said.append(f"{len(refused)} recordings left out: {'; '.join(refused[:NAMED])}{more}")
    if cut:
        said.append(f"{cut} recordings cut to {seconds:g} seconds")
    return pooled(waves, np.array(labels), groups, splits=splits, size=size, notes=said)


def pooled(
    waves: list[Waveform],
    labels: np.ndarray[tuple[int], np.dtype[np.int64]],
    groups: Sequence[str],
    *,
    splits: Splits,
    size: int,
    notes: Sequence[str],
) -> TaskData:
    """Pad waveforms and put them into pools.

    Args:
        waves: At most ``size`` samples each; the list is emptied, to hold the audio once only.
        labels: ``[n]`` position of each one's class among all classes of ``splits``.
        groups: ``[n]`` name of each one's group.
        splits: The classes of each split.
        size: Samples of a padded waveform.
        notes: What was decided.

    Returns:
        ``waveform`` int16 ``[n, size]`` and ``length`` int32 ``[n]``.
    """
    padded = np.zeros((len(waves), size), np.int16)
    length = np.array([len(wave) for wave in waves], np.int32)
    for row in reversed(range(len(waves))):
        padded[row, : length[row]] = waves.pop()
    ordered = {name: i for i, name in enumerate(dict.fromkeys(groups))}
    own = np.array([ordered[name] for name in groups], np.int64)
    first = 0
    pools = {}
    for split, names in splits.items():
        pools[split] = ClassPool.from_labels(labels, dict(enumerate(names, first)))
        first += len(names)
    inputs = {"waveform": torch.from_numpy(padded), "length": torch.from_numpy(length)}
    return TaskData(MODALITY, inputs, pools, groups=own, notes=tuple(notes))


def _check_classes(
    source: str, number: Mapping[str, int], labels: Sequence[int], refused: Sequence[str]
) -> None:
    present = set(labels)
    if empty := [name for name, label in number.items() if label not in present]:
        first = f"; left out: {refused[0]}" if refused else ""
        raise UnavailableError(
            f"{source}: no usable recording of {len(empty)} of {len(number)} classes, such as"
            f" {empty[0]!r}{first}",
            "get the upstream files again",
        )
