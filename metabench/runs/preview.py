"""What a run would do: ``--dry-run``. Nothing is loaded, run or written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from metabench.runs.estimate import Estimator
from metabench.runs.plan import Planned, draft_cells, resolve
from metabench.runs.request import RunRequest
from metabench.runs.session import Session, settled, shard_of


@dataclass(frozen=True)
class Preview:
    """What a run would do.

    Attributes:
        cells: Every planned cell. Cells of a source that was never loaded have no final key yet.
        open: The keys of those that would be run.
        answered: The keys of those that the store answers.
        seconds: Estimated seconds of work, over all workers.
        workers: How many workers there would be.
        said: What was recognised of own data.
    """

    cells: tuple[Planned, ...]
    open: frozenset[str]
    answered: frozenset[str]
    seconds: float
    workers: int
    said: tuple[str, ...] = ()

    @property
    def ruled_out(self) -> int:
        """How many cannot be run."""
        return len(self.cells) - len(self.open) - len(self.answered)

    def state(self, cell: Planned) -> str:
        """Return what would become of a cell, in a few words."""
        if cell.task.key in self.answered:
            return "found"
        if cell.verdict is not None:
            return f"{cell.verdict.status}: {cell.verdict.reason}"
        return "to run"


def preview(request: RunRequest, warn: Callable[[str], None]) -> Preview:
    """Plan a run without loading or running anything.

    Args:
        request: What is asked for.
        warn: Receives what the user should know, one line each.

    Returns:
        The plan with an estimate.
    """
    session = Session.start(request, only_read=True)
    for problem in session.catalogue.problems:
        warn(str(problem))
    drafts = shard_of(draft_cells(session.request, session.catalogue), request.shard)
    knowledge = session.known(drafts)
    cells = [resolve(draft, knowledge, session.place) for draft in drafts]
    store = session.store
    answered = frozenset(
        cell.task.key for cell in cells if settled(cell, store.get(cell.task.cell, cell.task.key))
    )
    wanted = {draft.source.name for draft in drafts if draft.verdict is None}
    unseen = wanted - set(knowledge.sources)
    if unseen := unseen & set(store.sources()):
        warn(
            f"the store has records of {', '.join(sorted(unseen))}, which can be looked up only "
            "once a run has loaded the data; till then its cells count as to run"
        )
    todo = [c.task for c in cells if c.verdict is None and c.task.key not in answered]
    estimator = Estimator(store.scan(), store.root)
    seconds = sum(estimator.seconds(todo))
    for text in dict.fromkeys(store.quarantined):
        warn(text)
    return Preview(
        cells=tuple(cells),
        open=frozenset(task.key for task in todo),
        answered=answered,
        seconds=seconds,
        workers=session.workers,
        said=session.said,
    )
