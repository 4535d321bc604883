"""Pairs of texts as tensors and tasks: a question, and a sentence that may answer it.

The modality ``text-pair`` has the inputs ``{"bytes": uint8 [n, L], "length": int32 [n]}`` of the
first text and ``{"bytes2": uint8 [n, M], "length2": int32 [n]}`` of the second, each packed as
`metabench_nlp.text.pack` does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from metabench.errors import UnavailableError
from metabench.tasks.data import Task, TaskData, TaskPool
from metabench_nlp.text import pack, tidy, unpack

MODALITY = "text-pair"
_SECOND = "2"


@dataclass(frozen=True)
class Candidate:
    """One question with one sentence.

    Attributes:
        task: The name of its task.
        question: The question.
        question_id: What tells the question from all others of the source.
        sentence: The sentence.
        answers: Whether the sentence answers the question.
        passage: What tells the text that the sentence is from, if several questions share it.
    """

    task: str
    question: str
    question_id: str
    sentence: str
    answers: bool
    passage: str = ""


def pack_pairs(first: Sequence[str], second: Sequence[str]) -> dict[str, Tensor]:
    """Encode pairs of texts as tensors.

    Args:
        first: The first text of each pair.
        second: The second text of each pair, as many.

    Returns:
        ``bytes`` and ``length`` of the first texts, ``bytes2`` and ``length2`` of the second.
    """
    packed = pack(first)
    packed.update({f"{name}{_SECOND}": tensor for name, tensor in pack(second).items()})
    return packed


def halves(inputs: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Separate the tensors of the first texts from those of the second.

    Args:
        inputs: Tensors of the first texts, and tensors of the second whose names end in ``2``.

    Returns:
        Two mappings with the names of the first.
    """
    first = {name: t for name, t in inputs.items() if not name.endswith(_SECOND)}
    return first, {name: inputs[f"{name}{_SECOND}"] for name in first}


def unpack_pairs(inputs: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
    """Decode what `pack_pairs` encoded."""
    first, second = halves(inputs)
    return unpack(first), unpack(second)


def pair_data(
    source: str,
    candidates: Iterable[Candidate],
    splits: Mapping[str, Sequence[str]],
    notes: Iterable[str] = (),
) -> TaskData:
    """Build the task data of a source of questions.

    Args:
        source: Its name, for error messages.
        candidates: All pairs, in an order that does not depend on the machine.
        splits: The tasks of each split; candidates of other tasks are left out.
        notes: What was decided while reading.

    Returns:
        Binary tasks with target 1 where the sentence answers; passages are groups, and the
        candidates of a question a list.

    Raises:
        UnavailableError: If a task has no candidates.
    """
    kept_tasks = {name for names in splits.values() for name in names}
    kept = [candidate for candidate in candidates if candidate.task in kept_tasks]
    rows: dict[str, list[int]] = {name: [] for name in kept_tasks}
    for row, candidate in enumerate(kept):
        rows[candidate.task].append(row)
    if empty := sorted(name for name, own in rows.items() if not own):
        raise UnavailableError(
            f"{source}: no question for {len(empty)} of {len(rows)} tasks, such as {empty[0]!r}",
            "get the upstream files again",
        )
    targets = np.array([candidate.answers for candidate in kept], dtype=np.int64)
    questions = _numbered(candidate.question_id for candidate in kept)
    passages = _numbered(candidate.passage or candidate.question_id for candidate in kept)
    pools = {
        split: TaskPool(
            tuple(Task(name, np.array(rows[name]), targets[rows[name]]) for name in names)
        )
        for split, names in splits.items()
    }
    inputs = pack_pairs(
        [tidy(candidate.question) for candidate in kept],
        [tidy(candidate.sentence) for candidate in kept],
    )
    return TaskData(MODALITY, inputs, pools, groups=passages, lists=questions, notes=tuple(notes))


def _numbered(names: Iterable[str]) -> npt.NDArray[np.int64]:
    number: dict[str, int] = {}
    return np.array([number.setdefault(name, len(number)) for name in names], dtype=np.int64)
