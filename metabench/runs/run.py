"""One run, from request to tables."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from metabench.atomic import write_text
from metabench.errors import MetabenchError
from metabench.leaderboard.audits import read_audits
from metabench.leaderboard.build import Written, write_leaderboards
from metabench.leaderboard.current import data_digest
from metabench.registry.catalogue import Problem
from metabench.runs.estimate import Estimator
from metabench.runs.jobs import Job, Outcome, Progress
from metabench.runs.kept import OwnRun, keep_own_run
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
        own: The name of the user's own data among the sources; empty if there are none.
    """

    records: list[Record]
    reused: int
    written: Written
    own: str = ""

    @property
    def exit_code(self) -> int:
        """0 only if every applicable, available cell is ok."""
        bad = {"failed", "timeout", "killed"}
        return 1 if any(record.status in bad for record in self.records) else 0


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
    report_problems(session, watcher)
    watcher.recognised(session.said)
    everything = draft_cells(session.request, session.catalogue)
    drafts = shard_of(everything, request.shard)
    store = session.store
    write_text(store.root / REQUEST_FILE, session.asked.model_dump_json(indent=1) + "\n")
    _keep_own(session)
    store.sweep()
    lazy = LazyExecutor(lambda: session.executor(len(drafts)))
    try:
        records, reused = carry_out(session, drafts, lazy, watcher)
    finally:
        lazy.close()
    _keep_own(session, records)
    shown = records + _of_other_shards(session, everything, drafts)
    audits, damaged = read_audits(store.root)
    for text in dict.fromkeys([*store.quarantined, *damaged]):
        watcher.message(text)
    scored = [store.scored(record) for record in shown]
    written = write_leaderboards(scored, request.tables, audits)
    session.catalogue.notify(
        "metabench_run_finished",
        store=str(store.root),
        tables=tuple(str(path) for path in written.paths),
    )
    return RunResult(records, reused, written, session.own)


def _keep_own(session: Session, records: Sequence[Record] = ()) -> None:
    """Write down where own data lie and, once they were loaded, in which state they are."""
    if not session.own:
        return
    digests = (data_digest(one) for one in records if one.cell.source == session.own)
    digest = next(filter(None, digests), "")
    keep_own_run(session.store.root, session.own, OwnRun(request=session.asked, digest=digest))


def carry_out(
    session: Session, drafts: Sequence[Draft], executor: LazyExecutor, watcher: Watcher
) -> tuple[list[Record], int]:
    """Answer cells, from the store or by running them.

    Args:
        session: What the run starts from.
        drafts: The cells.
        executor: Carries out what is open.
        watcher: Sees the run as it goes.

    Returns:
        The record of every cell, in order, and how many were answered before.

    Raises:
        MetabenchError: If the device does not exist, or the store cannot be written to.
    """
    knowledge = session.known(drafts)
    try_device(session, executor, watcher)
    prepare(session, drafts, knowledge, executor, watcher)
    own = knowledge.sources.get(session.own)
    if isinstance(own, Prepared):
        watcher.recognised([note for note in own.notes if note not in session.said])
    planned = [resolve(draft, knowledge, session.place) for draft in drafts]
    return _answer(session, planned, executor, watcher)


def report_problems(session: Session, watcher: Watcher) -> None:
    """Tell the watcher what is wrong with the plugins, now and later."""

    def tell(problem: Problem) -> None:
        watcher.message(str(problem))

    for problem in session.catalogue.problems:
        tell(problem)
    session.catalogue.on_problem = tell


def try_device(session: Session, executor: LazyExecutor, watcher: Watcher) -> None:
    """Refuse a device that does not exist, once and before any cell; workers have torch."""
    place = session.place
    if place.device in {"auto", "cpu"}:
        return
    job = Job(0, f"try {place.device}", "metabench.runs.prepare:check_device", place)
    for outcome in _watched(executor, [job], watcher):
        if isinstance(outcome.error, MetabenchError):
            raise outcome.error


def prepare(
    session: Session,
    drafts: Sequence[Draft],
    known: Knowledge,
    executor: LazyExecutor,
    watcher: Watcher,
) -> None:
    """Load the sources, then prepare them for the encoders, where the cache does not know."""
    open_drafts = [draft for draft in drafts if draft.verdict is None]
    sources = {d.source.name: d.source for d in open_drafts if d.source.name not in known.sources}
    jobs = [
        Job(
            n,
            f"load {name}",
            "metabench.runs.prepare:prepare_source",
            (source, session.place),
            environment=source.environment,
        )
        for n, (name, source) in enumerate(sorted(sources.items()))
    ]
    for outcome in _watched(executor, jobs, watcher):
        known.sources[sorted(sources)[outcome.job.number]] = _learnt(outcome, session.store)
    pairs = {
        (d.source.name, d.encoder.name): (d.source, d.encoder, session.place)
        for d in open_drafts
        if d.encoder is not None
        and isinstance(known.sources.get(d.source.name), Prepared)
        and (d.source.name, d.encoder.name) not in known.encoders
    }
    names = sorted(pairs)
    target = "metabench.runs.prepare:prepare_encoder"
    jobs = [
        Job(
            n,
            f"prepare {source} for {encoder}",
            target,
            pairs[source, encoder],
            environment=pairs[source, encoder][1].environment,
        )
        for n, (source, encoder) in enumerate(names)
    ]
    for outcome in _watched(executor, jobs, watcher):
        known.encoders[names[outcome.job.number]] = _learnt(outcome, session.store)


def _watched(executor: LazyExecutor, jobs: Sequence[Job], watcher: Watcher) -> Iterator[Outcome]:
    if jobs:
        watcher.preparing([job.label for job in jobs])
    for outcome in executor.outcomes(jobs):
        watcher.tick(executor.active(), None)
        if outcome is not None:
            yield outcome


def _learnt(outcome: Outcome, store: Store) -> Prepared | Verdict:
    if outcome.state == "done":
        prepared: Prepared = outcome.value
        return prepared
    label = outcome.job.label
    name = f"prepare-{fingerprint(label)}"
    return verdict_of_outcome(outcome, store, name, label)


def _answer(
    session: Session, planned: Sequence[Planned], executor: LazyExecutor, watcher: Watcher
) -> tuple[list[Record], int]:
    """Return the record of every planned cell, running those that have none."""
    store = session.store
    answers: dict[str, Record] = {}
    open_tasks: list[CellTask] = []
    reused = 0
    for plan in planned:
        task = plan.task
        found = store.get(task.cell, task.key)
        if found is not None and settled(plan, found):
            answers[task.key] = found
            reused += 1
        elif plan.verdict is not None:
            answers[task.key] = _verdict_record(store, task, plan.verdict, found)
        else:
            open_tasks.append(task)
    estimator = Estimator(answers.values(), store.root)
    seconds = estimator.seconds(open_tasks)
    watcher.planned(len(planned), reused, len(open_tasks), sum(seconds))
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
            exclusive=estimator.waits_for(task),
            weight=weight,
            environment=task.environment,
        )
        for number, (task, weight) in enumerate(zip(open_tasks, seconds, strict=True))
    ]
    clock = _Clock(jobs, session.workers)
    for outcome in executor.outcomes(jobs):
        if outcome is None:
            active = executor.active()
            watcher.tick(active, clock.left(active))
            continue
        task = open_tasks[outcome.job.number]
        record = record_of_outcome(outcome, task, store)
        answers[task.key] = record
        clock.advance(outcome.job.weight)
        session.catalogue.notify("metabench_cell_finished", record=record)
        watcher.finished(record, clock.count, len(open_tasks))
    return [answers[plan.task.key] for plan in planned], reused


def _of_other_shards(
    session: Session, everything: Sequence[Draft], mine: Sequence[Draft]
) -> list[Record]:
    """Return what the other shards have left so far, so that the last one's tables are whole."""
    own = {id(draft) for draft in mine}
    others = [draft for draft in everything if id(draft) not in own]
    knowledge = session.known(others)
    found = []
    for draft in others:
        task = resolve(draft, knowledge, session.place).task
        if (record := session.store.get(task.cell, task.key)) is not None:
            found.append(record)
    return found


class _Clock:
    """Estimates the time left from the share of the estimated work that is done.

    A running job counts as far as it says it is. Before any is done there is only the estimate, and
    past that nothing is known.

    Args:
        jobs: The jobs, with their estimated seconds.
        workers: How many jobs run at once.
    """

    def __init__(self, jobs: Sequence[Job], workers: int) -> None:
        self._started = time.monotonic()
        self._weights = {job.label: job.weight for job in jobs}
        self._total = sum(job.weight for job in jobs)  # two budgets of a suite may share a label
        self._workers = workers
        self._done = 0.0
        self.count = 0

    def advance(self, weight: float) -> None:
        self._done += weight
        self.count += 1

    def left(self, active: Sequence[Progress]) -> float | None:
        elapsed = time.monotonic() - self._started
        running = [
            self._weights.get(one.label, 0.0) * one.done / max(one.total, 1) for one in active
        ]
        if done := self._done + sum(running):
            return elapsed * max(self._total - done, 0.0) / done
        rest = self._total / self._workers - elapsed
        return rest if rest > 0 else None


def _verdict_record(store: Store, task: CellTask, verdict: Verdict, found: Record | None) -> Record:
    """Keep why a cell is not run, unless the store says so already."""
    record = verdict.record(task)
    if found is not None and (found.status, found.failure) == (record.status, record.failure):
        return found
    return store.put(record)
