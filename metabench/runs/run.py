"""One run, from request to tables."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from metabench.atomic import write_text
from metabench.errors import UnavailableError, UsageError
from metabench.hookspecs import EncoderInfo
from metabench.leaderboard.build import Written, write_leaderboards
from metabench.leaderboard.tables import Scored
from metabench.registry.catalogue import Catalogue
from metabench.registry.discovery import load_plugins
from metabench.runs.estimate import Estimator
from metabench.runs.jobs import Executor, Job, Outcome, Progress
from metabench.runs.outcomes import record_of_outcome, unanswered
from metabench.runs.plan import Draft, Knowledge, Planned, Verdict, draft_cells, resolve
from metabench.runs.record import Record
from metabench.runs.request import RunRequest
from metabench.runs.store import Store
from metabench.runs.tasks import CellTask, Place, Prepared, encoder_index, read_prepared, source_index

REQUEST_FILE = "run.json"


class Watcher:
    """Sees a run as it goes; every method may be left as it is."""

    def preparing(self, count: int) -> None:
        """Sources or encoders are about to be loaded for the first time."""

    def planned(self, total: int, answered: int, seconds: float) -> None:
        """The plan stands: all cells, those already answered, estimated seconds of work."""

    def tick(self, active: Sequence[Progress], left: float | None) -> None:
        """Happens a few times a second, with what the workers do and the seconds left."""

    def finished(self, record: Record, done: int, total: int) -> None:
        """One open cell has ended."""

    def message(self, text: str) -> None:
        """Something that the user should know, in one line."""


@dataclass
class RunResult:
    """What a run leaves.

    Attributes:
        records: The record of every planned cell, in order of the plan.
        reused: How many were answered before.
        written: The tables.
        messages: Quarantined records and the like.
    """

    records: list[Record]
    reused: int
    written: Written
    scored: list[Scored] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 only if every applicable, available cell is ok."""
        bad = {"failed", "timeout", "killed"}
        return 1 if any(record.status in bad for record in self.records) else 0


@dataclass
class Session:
    """A request, the installed plugins and the store, ready to plan.

    Attributes:
        request: What was asked for.
        catalogue: What is installed.
        store: The store.
        place: Where workers read and write.
    """

    request: RunRequest
    catalogue: Catalogue
    store: Store
    place: Place

    @classmethod
    def start(cls, request: RunRequest) -> Session:
        """Load the plugins and check the request's folders.

        Raises:
            UsageError: If the data directory does not exist.
        """
        if request.data is not None and not request.data.is_dir():
            raise UsageError(f"--data {str(request.data)!r} is no folder")
        if request.executor == "dask" and request.timeout:
            raise UsageError("--timeout is kept by the local executor only; set it in Dask instead")
        catalogue = load_plugins(disabled=request.disabled, strict=request.strict)
        place = Place(
            store=request.store.resolve(),
            data=request.data.resolve() if request.data is not None else None,
            device=request.device,
            precision=request.precision,
        )
        return cls(request, catalogue, Store(place.store), place)

    def known(self, drafts: Sequence[Draft]) -> Knowledge:
        """Collect what the cache tells of the drafts' sources and frozen encoders."""
        knowledge = Knowledge()
        for draft in drafts:
            if draft.verdict is not None:
                continue
            index = source_index(self.place.store, draft.source, self.place.data)
            source = knowledge.sources.get(draft.source.name) or read_prepared(index)
            if not isinstance(source, Prepared):
                continue
            knowledge.sources[draft.source.name] = source
            if draft.encoder is not None and is_frozen(draft):
                path = encoder_index(self.place.store, draft.encoder, source.digest)
                if (encoder := read_prepared(path)) is not None:
                    knowledge.encoders[draft.source.name, draft.encoder.name] = encoder
        return knowledge

    def executor(self, open_cells: int) -> Executor:
        """Return the executor that the request names."""
        request = self.request
        workers = request.jobs or os.cpu_count() or 1
        if request.executor == "dask":
            from metabench.runs.dask import DaskExecutor  # noqa: PLC0415 - an optional extra

            return DaskExecutor(request.dask_address, workers)
        from metabench.runs.local import LocalExecutor  # noqa: PLC0415 - only if cells are open

        return LocalExecutor(min(workers, max(open_cells, 1)), timeout=request.timeout)


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
    for problem in session.catalogue.problems:
        watcher.message(str(problem))
    drafts = _shard(draft_cells(request, session.catalogue), request.shard)
    write_text(session.store.root / REQUEST_FILE, request.model_dump_json(indent=1) + "\n")
    lazy = _LazyExecutor(lambda: session.executor(len(drafts)))
    try:
        knowledge = session.known(drafts)
        _prepare(session, drafts, knowledge, lazy, watcher)
        planned = [resolve(draft, knowledge, session.place) for draft in drafts]
        records, reused = _answer(session, planned, lazy, watcher)
    finally:
        lazy.close()
    for text in session.store.quarantined:
        watcher.message(text)
    scored = [session.store.scored(record) for record in records]
    written = write_leaderboards(scored, request.tables)
    session.catalogue.notify(
        "metabench_run_finished",
        store=str(session.store.root),
        tables=tuple(str(path) for path in written.paths),
    )
    return RunResult(records, reused, written, scored)


@dataclass(frozen=True)
class Preview:
    """What a run would do.

    Attributes:
        cells: Every planned cell. Cells of a source that was never loaded have no final key yet.
        open: Those that would be run.
        answered: How many the store answers.
        seconds: Estimated seconds of work, over all workers.
        workers: How many workers there would be.
    """

    cells: tuple[Planned, ...]
    open: frozenset[str]
    answered: int
    seconds: float
    workers: int

    @property
    def ruled_out(self) -> int:
        """How many will not be run, whatever the store holds."""
        return sum(1 for cell in self.cells if cell.verdict is not None)

    def state(self, cell: Planned) -> str:
        """Return what would become of a cell, in a few words."""
        if cell.verdict is not None:
            return f"{cell.verdict.status}: {cell.verdict.reason}"
        return "to run" if cell.task.key in self.open else "answered"


def preview(request: RunRequest, warn: Callable[[str], None]) -> Preview:
    """Plan a run without loading or running anything.

    Args:
        request: What is asked for.
        warn: Receives the plugins' problems, one line each.

    Returns:
        The plan with an estimate.
    """
    session = Session.start(request)
    for problem in session.catalogue.problems:
        warn(str(problem))
    drafts = _shard(draft_cells(request, session.catalogue), request.shard)
    knowledge = session.known(drafts)
    cells = [resolve(draft, knowledge, session.place) for draft in drafts]
    todo = [
        cell.task
        for cell in cells
        if cell.verdict is None and not _is_answer(session.store.get(cell.task.cell, cell.task.key))
    ]
    estimator = Estimator(session.store.scan(), session.store.root)
    ruled_out = sum(1 for cell in cells if cell.verdict is not None)
    return Preview(
        cells=tuple(cells),
        open=frozenset(task.key for task in todo),
        answered=len(cells) - len(todo) - ruled_out,
        seconds=sum(estimator.seconds(todo)),
        workers=request.jobs or os.cpu_count() or 1,
    )


def _is_answer(record: Record | None) -> bool:
    """Whether a record settles its cell; other states are tried again in the next run."""
    return record is not None and record.status in {"ok", "inapplicable"}


class _LazyExecutor:
    """Starts workers when the first job needs one: a run with nothing to do starts none."""

    def __init__(self, make: Callable[[], Executor]) -> None:
        self._make = make
        self._made: Executor | None = None

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[Outcome | None]:
        if jobs:
            if self._made is None:
                self._made = self._make()
            yield from self._made.outcomes(jobs)

    def active(self) -> list[Progress]:
        return self._made.active() if self._made is not None else []

    def close(self) -> None:
        if self._made is not None:
            self._made.close()


def _prepare(
    session: Session,
    drafts: Sequence[Draft],
    known: Knowledge,
    executor: _LazyExecutor,
    watcher: Watcher,
) -> None:
    """Load the sources, then embed them with frozen encoders, where the cache does not know."""
    open_drafts = [draft for draft in drafts if draft.verdict is None]
    sources = {d.source.name: d.source for d in open_drafts if d.source.name not in known.sources}
    jobs = [
        Job(n, f"load {name}", "metabench.runs.prepare:prepare_source", (source, session.place))
        for n, (name, source) in enumerate(sorted(sources.items()))
    ]
    for outcome in _watched(executor, jobs, watcher):
        known.sources[outcome.job.label.removeprefix("load ")] = _verdict(outcome)
    pairs = {
        (d.source.name, d.encoder.name): (d.source, d.encoder)
        for d in open_drafts
        if d.encoder is not None
        and is_frozen(d)
        and isinstance(known.sources.get(d.source.name), Prepared)
        and (d.source.name, d.encoder.name) not in known.encoders
    }
    jobs = []
    for number, (names, (source, encoder)) in enumerate(sorted(pairs.items())):
        payload = (source, encoder, session.place)
        label = f"embed {names[0]} with {names[1]}"
        jobs.append(Job(number, label, "metabench.runs.prepare:prepare_encoder", payload))
    names_by_number = dict(enumerate(sorted(pairs)))
    for outcome in _watched(executor, jobs, watcher):
        known.encoders[names_by_number[outcome.job.number]] = _verdict(outcome)


def _watched(
    executor: _LazyExecutor, jobs: Sequence[Job], watcher: Watcher
) -> Iterator[Outcome]:
    if jobs:
        watcher.preparing(len(jobs))
    for outcome in executor.outcomes(jobs):
        watcher.tick(executor.active(), None)
        if outcome is not None:
            yield outcome


def _verdict(outcome: Outcome) -> Prepared | Verdict:
    if outcome.state == "done" and isinstance(outcome.value, Prepared):
        return outcome.value
    if isinstance(outcome.error, UnavailableError):
        return Verdict("unavailable", str(outcome.error))
    what = outcome.job.label
    if outcome.state == "raised":
        return Verdict("failed", f"{what}: {type(outcome.error).__name__}: {outcome.error}")
    return Verdict("failed", f"{what}: the worker was ended ({outcome.detail})")


def _answer(
    session: Session, planned: Sequence[Planned], executor: _LazyExecutor, watcher: Watcher
) -> tuple[list[Record], int]:
    """Return the record of every planned cell, running those that have none."""
    store, answers = session.store, {}
    open_tasks: list[CellTask] = []
    for plan in planned:
        task = plan.task
        found = store.get(task.cell, task.key)
        if plan.verdict is not None:
            answers[task.key] = _verdict_record(store, task, plan.verdict, found)
        elif found is not None and _is_answer(found):
            answers[task.key] = found
        else:
            open_tasks.append(task)
    reused = sum(1 for plan in planned if plan.verdict is None and plan.task.key in answers)
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
    return [answers[plan.task.key] for plan in planned], reused


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


def _verdict_record(
    store: Store, task: CellTask, verdict: Verdict, found: Record | None
) -> Record:
    """Keep why a cell is not run, unless the store says so already."""
    same = found is not None and found.status == verdict.status and found.failure is not None
    if found is not None and same and found.failure and found.failure.reason == verdict.reason:
        return found
    return store.put(unanswered(task, verdict.status, verdict.reason))


def is_frozen(draft: Draft) -> bool:
    """Whether a draft's encoder is applied once and for all."""
    info = draft.encoder.info if draft.encoder is not None else None
    return isinstance(info, EncoderInfo) and not info.trainable


def _shard(drafts: list[Draft], shard: tuple[int, int] | None) -> list[Draft]:
    """Take one part of the cells; cells that share a checkpoint stay together."""
    if shard is None:
        return drafts
    number, count = shard
    names = sorted({(d.source.name, d.encoder.name if d.encoder else "", d.seed) for d in drafts})
    mine = set(names[number - 1 :: count])
    return [
        d for d in drafts if (d.source.name, d.encoder.name if d.encoder else "", d.seed) in mine
    ]
