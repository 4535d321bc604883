"""How long cells will take: for the order of work, the time left, and ``--dry-run``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from metabench.runs.record import Record
from metabench.runs.tasks import CellTask, checkpoint_path

EXAMPLES_PER_SECOND = 1500.0
"""Training rate of Conv4-64 on 28x28 images on one CPU core, where no record tells a better one."""
ADAPTING_EXAMPLES_PER_SECOND = 250.0
"""The same for second-order MAML."""
CELL_SECONDS = 0.5


class Estimator:
    """Estimates from earlier records of like cells, or else from fixed rates.

    Args:
        records: Earlier records.
        store: The store, to see which checkpoints exist.
    """

    def __init__(self, records: Iterable[Record], store: Path) -> None:
        self._train: dict[tuple[str, str, str], float] = {}
        self._test: dict[tuple[str, str, str], float] = {}
        self._store = store
        for record in records:
            cost, cell = record.cost, record.cell
            name = (cell.source, cell.encoder, cell.algorithm)
            if cost.train_seconds and cost.examples_seen:
                self._train[name] = cost.train_seconds / cost.examples_seen
            if cost.adapt_ms_per_task is not None:
                self._test[name] = cost.adapt_ms_per_task / 1000

    def seconds(self, tasks: Sequence[CellTask]) -> list[float]:
        """Return the seconds that each cell will take; a shared checkpoint counts once."""
        seen: set[str] = set()
        return [self._one(task, seen) for task in tasks]

    def _one(self, task: CellTask, seen: set[str]) -> float:
        name = (task.cell.source, task.cell.encoder, task.cell.algorithm)
        adapts = task.algorithm.info.adapts_encoder
        rate = ADAPTING_EXAMPLES_PER_SECOND if adapts else EXAMPLES_PER_SECOND
        seconds = CELL_SECONDS
        seconds += task.test_episodes * self._test.get(name, 0.02 if adapts else 0.0005)
        stages = len(task.stages)
        for key in self._open(task):
            if key not in seen:
                seen.add(key)
                seconds += task.protocol.budget / stages * self._train.get(name, 1 / rate)
        return seconds

    def waits_for(self, task: CellTask) -> str:
        """Return the key of the first checkpoint that a cell needs and nobody has; else nothing."""
        return next(iter(self._open(task)), "")

    def _open(self, task: CellTask) -> list[str]:
        """Keys of the checkpoints that a cell needs and nobody has yet, in order."""
        if not task.trainable:
            return []
        keys = [task.checkpoint_key(stage) for stage in range(len(task.stages))]
        missing: list[str] = []
        for key in reversed(keys):
            if checkpoint_path(self._store, key).exists():
                break
            missing.insert(0, key)
        return missing
