"""Labelled texts to task data: committed splits, and no text twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from metabench.errors import UnavailableError
from metabench.tasks.data import ClassPool, TaskData
from metabench_nlp.text import MODALITY, identity, pack, tidy

Splits = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Utterance:
    """One labelled text.

    Attributes:
        text: The text.
        label: The name of its class.
        place: The file and line it comes from, for error messages.
        group: What it must not share with an example on the other side of an episode, such as the
            sentence behind it; empty for none.
    """

    text: str
    label: str
    place: str
    group: str = ""


@cache
def committed_split(name: str) -> dict[str, tuple[str, ...]]:
    """Read ``data/splits/<name>.json``, a list of names for each split."""
    path = resources.files("metabench_nlp") / "data" / "splits" / f"{name}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    return {split: tuple(content[split]) for split in ("train", "val", "test") if split in content}


def distinct(utterances: Iterable[Utterance], notes: list[str]) -> Iterator[Utterance]:
    """Drop every text that has occurred before, in whatever class.

    Two texts are the same if they differ in case, punctuation or spaces only: such a pair on both
    sides of an episode would be a free point.

    Args:
        utterances: In order; the first of several equal texts stays.
        notes: Receives the number of dropped texts.

    Yields:
        The texts that stay.
    """
    first: dict[str, str] = {}
    repeated = relabelled = 0
    for utterance in utterances:
        key = identity(utterance.text)
        if key not in first:
            first[key] = utterance.label
            yield utterance
        elif first[key] == utterance.label:
            repeated += 1
        else:
            relabelled += 1
    if repeated or relabelled:
        notes.append(
            f"{repeated + relabelled} repeated texts dropped, the first kept"
            f" ({relabelled} of them had another class)"
        )


def task_data(
    source: str, utterances: Iterable[Utterance], splits: Splits, notes: Iterable[str] = ()
) -> TaskData:
    """Build the task data of a source.

    Args:
        source: Its name, for error messages.
        utterances: All labelled texts, in an order that does not depend on the machine.
        splits: The classes of each split.
        notes: What was decided while reading.

    Returns:
        One pool per split, without repeated texts.

    Raises:
        UnavailableError: If a text has a class of no split, or a class has no text.
    """
    labels = [label for names in splits.values() for label in names]
    number = {label: position for position, label in enumerate(labels)}
    said = list(notes)
    kept = list(distinct(_known(utterances, number, source), said))
    targets = np.array([number[utterance.label] for utterance in kept], dtype=np.int64)
    if empty := sorted(set(labels) - {utterance.label for utterance in kept}):
        raise UnavailableError(
            f"{source}: no text for {len(empty)} of {len(labels)} classes, such as {empty[0]!r}",
            "get the upstream files again",
        )
    pools = {
        split: ClassPool.from_labels(targets, {number[name]: name for name in names})
        for split, names in splits.items()
    }
    texts = [tidy(utterance.text) for utterance in kept]
    return TaskData(MODALITY, pack(texts), pools, groups=_groups(kept), notes=tuple(said))


def _known(
    utterances: Iterable[Utterance], number: Mapping[str, int], source: str
) -> Iterator[Utterance]:
    for utterance in utterances:
        if utterance.label not in number:
            raise UnavailableError(
                f"{utterance.place}: class {utterance.label!r} is in no split of {source}",
                "get the upstream file again",
            )
        yield utterance


def _groups(kept: Sequence[Utterance]) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
    if not any(utterance.group for utterance in kept):
        return None
    number: dict[str, int] = {}
    return np.array(
        [number.setdefault(u.group, len(number)) if u.group else -1 for u in kept], dtype=np.int64
    )
