"""Whether a saved learner answers as the trained one did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metabench.errors import MetabenchError
from metabench.learners.files import read_tensors
from metabench.runs.record import Record
from metabench.runs.session import Session
from metabench.runs.worker import Ready
from metabench.saved.config import REFERENCE, SavedConfig
from metabench.saved.items import ItemInputs, input_spec
from metabench.saved.learner import SavedLearner
from metabench.saved.load import load
from metabench.tasks.data import TaskData
from metabench.tasks.sampler import EpisodeBatch

EPISODES = 3
TOLERANCE = 1e-3
"""Share of the scores' size by which other batch sizes may move them."""


@dataclass(frozen=True)
class Agreement:
    """The saved learner's answers beside the record's, on the first test episodes.

    Attributes:
        episodes: How many were asked.
        queries: Their queries.
        same: Queries that the record answers alike; in binary tasks and regression, within
            `TOLERANCE` of the spread of the answers.
    """

    episodes: int
    queries: int
    same: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user must know, if anything."""
        if self.same == self.queries:
            return ()
        text = (
            f"{self.queries - self.same} of {self.queries} test queries are answered otherwise "
            "than in the record: weights were trained again on another machine or version, or the "
            "learner draws random numbers"
        )
        return (text,)


def check(
    folder: Path, config: SavedConfig, ready: Ready, record: Record, session: Session
) -> Agreement:
    """Load a saved learner and ask it the first test episodes of its cell.

    Args:
        folder: Where it lies.
        config: What it is.
        ready: The trained model that it was saved from.
        record: The cell's record.
        session: What is installed, and the store that holds the record's answers.

    Raises:
        MetabenchError: If it scores otherwise than the trained model does.
    """
    device = str(ready.built.problem.compute.device)
    loaded = load(folder, device=device, catalogue=session.catalogue)
    kept = read_tensors(folder / REFERENCE) if config.reference_sha256 else None
    reader = ItemInputs(input_spec(config), session.catalogue)
    trained = SavedLearner(
        config, ready.built.model, ready.built.problem.compute, reader, kept and kept[0]
    )
    answers = []
    for batch in _first_episodes(ready):
        mine, theirs = (scores_of(one, ready.data, batch) for one in (loaded, trained))
        size = float(np.abs(theirs).max(initial=0.0)) or 1.0
        if not np.allclose(mine, theirs, rtol=0, atol=TOLERANCE * size):
            raise MetabenchError(
                f"{record.cell.algorithm} scores otherwise once it is saved and loaded: it keeps "
                "what it learned elsewhere than in parameters and buffers, so it cannot be "
                f"exported; tell the authors of {record.cell.plugin}"
            )
        answers.append(mine)
    return _compare(answers, session.store.arrays(record), record.cell.task_kind)


def _first_episodes(ready: Ready) -> Iterator[EpisodeBatch]:
    sampler = ready.built.sampler
    yield from sampler.batches(0, min(EPISODES, sampler.test_episodes(EPISODES)), 1)


def scores_of(
    learner: SavedLearner, data: TaskData, batch: EpisodeBatch
) -> npt.NDArray[np.float32]:
    """Adapt a learner to a batch's only episode and score its queries.

    Args:
        learner: The learner.
        data: The source.
        batch: One episode.
    """
    support, query = (
        {name: tensor[side[0]] for name, tensor in data.inputs.items()}
        for side in (batch.support, batch.query)
    )
    return learner.adapt(support, batch.support_targets[0]).scores(query)


def _compare(answers: list[Any], arrays: Any, kind: str) -> Agreement:
    offsets = arrays["offsets"]
    queries = same = 0
    for episode, scores in enumerate(answers):
        recorded = arrays["predictions"][offsets[episode] : offsets[episode + 1]]
        queries += len(scores)
        if kind == "classification":
            same += int((scores.argmax(1) == recorded).sum())
            continue
        mine = scores[:, 1] - scores[:, 0] if kind == "binary" else scores
        theirs = recorded.reshape(mine.shape)
        near = np.abs(mine - theirs) <= TOLERANCE * max(float(np.ptp(theirs)), 1e-12)
        same += int(near.reshape(len(near), -1).all(1).sum())
    return Agreement(len(answers), queries, same)
