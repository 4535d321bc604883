"""One run, from request to tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from metabench.atomic import write_text
from metabench.leaderboard.build import Written, write_leaderboards
from metabench.runs.estimate import Estimator
from metabench.runs.jobs import Job, Outcome
from metabench.runs.outcomes import Verdict, record_of_outcome, verdict_of_outcome
from metabench.runs.plan import Draft, Knowledge, Planned, draft_cells, resolve
from metabench.runs.record import Record
from metabench.runs.request import RunRequest
from metabench.runs.session import REQUEST_FILE, LazyExecutor, Session, settled, shard_of
from metabench.runs.store import Store
from metabench.runs.tasks import CellTask, Prepared, fingerprint
from metabench.runs.watcher import Watcher


@dataclass(frozen=True)
class RunResult:
    """What a run leaves.

    Attributes:
        records: The record of every planned cell, in order of the plan.
        reused: How many were answered before.
        written: The tables.
    """

    records: tuple[Record, ...]
    reused: int
    written: Written

    @property
    def exit_code(self) -> int:
        """0 only if every applicable, available cell is ok."""
        bad = {"failed", "timeout", "killed"}
        return 1 if any(record.status in bad for record in self.records) else 0


@dataclass(frozen=True)
class Preview:
    """What a run would do.

    Attributes:
        cells: Every planned cell. Cells of a source that was never loaded have no final key yet.
        open: The keys of those that would be run.
        seconds: Estimated seconds of work, over all workers.
        workers: How many workers there would be.
    """

    cells: tuple[Planned, ...]
    open: frozenset[str]
    seconds: float
    workers: int

    @property
    def ruled_out(self) -> int:
        """How many will not be run, whatever the store holds."""
        return sum(1 for cell in self.cells if cell.verdict is not None)

    @property
    def answered(self) -> int:
        """How many the store answers."""
        return len(self.cells) - len(self.open) - self.ruled_out

    def state(self, cell: Planned) -> str:
        """Return what would become of a cell, in a few words."""
        if cell.verdict is not None:
            return f"{cell.verdict.status}: {cell.verdict.reason}"
        return "to run" if cell.task.key in self.open else "answered"


def preview(request: RunRequest, warn: Callable[[str], None]) -> Preview:
    """Plan a run without loading, running or writing anything.

    Args:
        request: What is asked for.
        warn: Receives the plugins' problems, one line each.

    Returns:
        The plan with an estimate.
    """
    session = Session.start(request, only_read=True)
    for problem in session.catalogue.problems:
        warn(str(problem))
    drafts = shard_of(draft_cells(request, session.catalogue), request.shard)
    knowledge = session.known(drafts)
    cells = [resolve(draft, knowledge, session.place) for draft in drafts]
    todo = [
        cell.task
        for cell in cells
        if cell.verdict is None
        and not settled(cell, session.store.get(cell.task.cell, cell.task.key))
    ]
    estimator = Estimator(session.store.scan(), session.store.root)
    return Preview(
        cells=tuple(cells),
        open=frozenset(task.key for task in todo),
        seconds=sum(estimator.seconds(todo)),
        workers=session.workers,
    )


def run(request: RunRequest, watcher: Watcher | None = None) -> RunResult:
    """Carry out a request: plan, run the open cells, write the tables.

    Args:
        request: What is asked for.
        watcher: Sees the run as it goes.

    Returns:
        Every planned cell's record, and the tables.

    Raises:
        MetabenchError: If the request cannot be carried out, or the store not written to.
        KeyboardInterrupt: Passed on after the workers have ended; finished cells are kept.
    """
    watcher = watcher or Watcher()
    session = Session.start(request)
    session.catalogue.on_problem = lambda problem: watcher.message(str(problem))
    for problem in session.catalogue.problems:
        watcher.message(str(problem))
    drafts = shard_of(draft_cells(request, session.catalogue), request.shard)
    session.store.sweep()
    write_text(session.store.root / REQUEST_FILE, request.model_dump_json(indent=1) + "\n")
    executor = LazyExecutor(lambda: session.executor(len(drafts)))
    try:
        knowledge = session.known(drafts)
        _prepare(session, drafts, knowledge, executor, watcher)
        planned = [resolve(draft, knowledge, session.place) for draft in drafts]
        records, reused = _answer(session, planned, executor, watcher)
    finally:
        executor.close()
    written = write_leaderboards([session.store.scored(r) for r in records], request.tables)
    for text in session.store.quarantined:
        watcher.message(text)
    session.catalogue.notify(
        "metabench_run_finished",
        store=str(session.store.root),
        tables=tuple(str(path) for path in written.paths),
    )
    return RunResult(records, reused, written)


def _prepare(
    session: Session,
    drafts: Sequence[Draft],
    known: Knowledge,
    executor: LazyExecutor,
    watcher: Watcher,
) -> None:
    """Load the sources, then embed them with frozen encoders, where the cache does not know."""
    store, place = session.store, session.place
    drafts = [draft for draft in drafts if draft.verdict is None]
    sources = {d.source.name: d.source for d in drafts if d.source.name not in known.sources}
    names = sorted(sources)
    jobs = [
        Job(number, f"load {name}", "metabench.runs.prepare:prepare_source", (sources[name], place))
        for number, name in enumerate(names)
    ]
    for outcome in _watched(executor, jobs, watcher):
        known.sources[names[outcome.job.number]] = _knowledge(outcome, store)
    pairs = {
        (d.source.name, d.encoder.name): (d.source, d.encoder, place)
        for d in drafts
        if d.encoder is not None
        and d.frozen
        and isinstance(known.sources.get(d.source.name), Prepared)
        and (d.source.name, d.encoder.name) not in known.encoders
    }
    labels = sorted(pairs)
    jobs = [
        Job(number, f"embed {source} with {encoder}", "metabench.runs.prepare:prepare_encoder",
            pairs[source, encoder])
        for number, (source, encoder) in enumerate(labels)
    ]  # fmt: skip
    for outcome in _watched(executor, jobs, watcher):
        known.encoders[labels[outcome.job.number]] = _knowledge(outcome, store)


def _watched(executor: LazyExecutor, jobs: Sequence[Job], watcher: Watcher) -> Iterator[Outcome]:
    if jobs:
        watcher.preparing([job.label for job in jobs])
    for outcome in executor.outcomes(jobs):
        watcher.tick(executor.active(), None)
        if outcome is not None:
            yield outcome


def _knowledge(outcome: Outcome, store: Store) -> Prepared | Verdict:
    if isinstance(outcome.value, Prepared):
        return outcome.value
    label = outcome.job.label
    return verdict_of_outcome(outcome, store, fingerprint(label)[:16], label)


def _answer(
    session: Session, planned: Sequence[Planned], executor: LazyExecutor, watcher: Watcher
) -> tuple[tuple[Record, ...], int]:
    """Return the record of every planned cell, running those that have none."""
    store = session.store
    answers: dict[str, Record] = {}
    open_tasks: list[CellTask] = []
    reused = 0
    for plan in planned:
        found = store.get(plan.task.cell, plan.task.key)
        if found is not None and settled(plan, found):
            answers[plan.task.key] = found
            reused += 1
        elif plan.verdict is not None:
            answers[plan.task.key] = _ruled_out(store, plan.task, plan.verdict, found)
        else:
            open_tasks.append(plan.task)
    estimator = Estimator(answers.values(), store.root)
    seconds = estimator.seconds(open_tasks)
    watcher.planned(len(planned), len(planned) - len(open_tasks), sum(seconds))
    if open_tasks:
        session.catalogue.notify(
            "metabench_run_started", cells=len(open_tasks), store=str(store.root)
        )
    jobs = [
        Job(
            number,
            task.cell.label,
            "metabench.runs.worker:run_cell",
            task,
            reports=True,
            exclusive=task.recipe_key if estimator.trains(task) else "",
            weight=weight,
        )
        for number, (task, weight) in enumerate(zip(open_tasks, seconds, strict=True))
    ]
    clock = _Clock(sum(seconds))
    for outcome in executor.outcomes(jobs):
        if outcome is None:
            watcher.tick(executor.active(), clock.left())
            continue
        task = open_tasks[outcome.job.number]
        record = record_of_outcome(outcome, task, store)
        answers[task.key] = record
        clock.advance(outcome.job.weight)
        session.catalogue.notify("metabench_cell_finished", record=record)
        watcher.finished(record, clock.count, len(open_tasks))
    return tuple(answers[plan.task.key] for plan in planned), reused


class _Clock:
    """Estimates the time left from the share of the estimated work that is done."""

    def __init__(self, total: float) -> None:
        self._started = time.monotonic()
        self._total = total
        self._done = 0.0
        self.count = 0

    def advance(self, weight: float) -> None:
        self._done += weight
        self.count += 1

    def left(self) -> float | None:
        if not self._done:
            return None
        return (time.monotonic() - self._started) * (self._total - self._done) / self._done


def _ruled_out(store: Store, task: CellTask, verdict: Verdict, found: Record | None) -> Record:
    """Keep why a cell is not run, unless the store says so already."""
    said = found.failure.reason if found is not None and found.failure is not None else None
    if found is not None and found.status == verdict.status and said == verdict.reason:
        return found
    return store.put(verdict.record(task))
