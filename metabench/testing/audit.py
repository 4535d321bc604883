"""Audits of installed algorithms on real sources: which cells, carried out by workers. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metabench.leaderboard.audits import Audit
from metabench.registry.catalogue import Catalogue
from metabench.runs.estimate import Estimator
from metabench.runs.jobs import Job
from metabench.runs.outcomes import verdict_of_outcome
from metabench.runs.parts import with_variants
from metabench.runs.plan import Draft, Planned, draft_cells, resolve
from metabench.runs.request import RunRequest
from metabench.runs.run import prepare, report_problems, try_device
from metabench.runs.session import LazyExecutor, Session
from metabench.runs.suite import find_suite
from metabench.runs.tasks import CellTask
from metabench.runs.watcher import Watcher

TARGET = "metabench.testing.worker:audit_cell"


@dataclass(frozen=True)
class NotAudited:
    """An algorithm that could not be examined somewhere.

    Attributes:
        label: ``source/encoder/algorithm``.
        status: As in a record.
        reason: One line.
    """

    label: str
    status: str
    reason: str


@dataclass(frozen=True)
class AuditResult:
    """What an audit leaves.

    Attributes:
        audits: In order of algorithm, source and encoder.
        left_out: What could not be examined.
    """

    audits: tuple[Audit, ...]
    left_out: tuple[NotAudited, ...]

    @property
    def exit_code(self) -> int:
        """0 only if no check is violated and nothing that could be examined failed."""
        excused = {"inapplicable", "unavailable"}
        failed = any(one.status not in excused for one in self.left_out)
        return int(failed or any(audit.violations for audit in self.audits))


def audit(request: RunRequest, watcher: Watcher | None = None) -> AuditResult:
    """Examine algorithms on small sources and keep what is found in the store.

    Args:
        request: The algorithms, all by default; the sources, by default one of the suite for each
            kind of task; the encoders, by default one; budget, store and the rest as in a run.
        watcher: Sees the audit as it goes.

    Returns:
        The audits, and what could not be examined.

    Raises:
        MetabenchError: If the request cannot be carried out, or the store not written to.
    """
    watcher = watcher or Watcher()
    session = Session.start(request)
    report_problems(session, watcher)
    names = request.algorithms or _all_algorithms(request, session.catalogue)
    request = request.model_copy(update={"algorithms": names})
    drafts, left_out = choose(draft_cells(request, session.catalogue), request)
    lazy = LazyExecutor(lambda: session.executor(len(drafts)))
    try:
        known = session.known(drafts)
        try_device(session, lazy, watcher)
        prepare(session, drafts, known, lazy, watcher)
        planned = [resolve(draft, known, session.place) for draft in drafts]
        audits, others = _carry_out(session, planned, lazy, watcher)
    finally:
        lazy.close()
    audits.sort(key=lambda one: (one.name, one.task_kind, one.source, one.encoder))
    return AuditResult(tuple(audits), tuple(sorted(left_out + others, key=lambda one: one.label)))


def choose(drafts: Sequence[Draft], request: RunRequest) -> tuple[list[Draft], list[NotAudited]]:
    """Choose where each algorithm is examined.

    Of every source that the request names, or else of one source for each kind of task, the
    protocol with most shots and the first seed; with every encoder that the request names, or else
    with a trainable one if there is any, since what leaks may leak in training.

    Args:
        drafts: All cells that the request allows.
        request: What was asked for.

    Returns:
        One draft per algorithm, source and encoder, and the algorithms that fit nowhere.
    """
    groups: dict[tuple[str, ...], list[Draft]] = {}
    unfit: dict[str, NotAudited] = {}
    for draft in drafts:
        name = draft.algorithm.name
        if draft.verdict is not None:
            verdict = draft.verdict
            unfit.setdefault(name, NotAudited(_label(draft), verdict.status, verdict.reason))
            continue
        place = draft.source.name if request.sources else draft.source.info.task_kind
        encoder = draft.encoder.name if request.encoders and draft.encoder else ""
        groups.setdefault((name, place, encoder), []).append(draft)
    chosen = [min(group, key=_preference) for group in groups.values()]
    fit = {draft.algorithm.name for draft in chosen}
    return chosen, [one for name, one in unfit.items() if name not in fit]


def _preference(draft: Draft) -> tuple[bool, str, str, int, int]:
    trainable = draft.encoder is not None and draft.encoder.info.trainable
    shot = draft.protocol.shot
    return (
        not trainable,
        draft.source.name,
        draft.encoder.name if draft.encoder else "",
        -shot if isinstance(shot, int) else 0,
        draft.seed,
    )


def _all_algorithms(request: RunRequest, catalogue: Catalogue) -> tuple[str, ...]:
    found = with_variants(catalogue, find_suite(request.suite), request.variants).algorithms
    return tuple(name for name, entry in found.items() if not entry.info.argument)


def _carry_out(
    session: Session, planned: Sequence[Planned], executor: LazyExecutor, watcher: Watcher
) -> tuple[list[Audit], list[NotAudited]]:
    """Hand the cells to the workers."""
    audits: list[Audit] = []
    others = [
        NotAudited(_label(plan.task), plan.verdict.status, plan.verdict.reason)
        for plan in planned
        if plan.verdict is not None
    ]
    tasks = [plan.task for plan in planned if plan.verdict is None]
    estimator = Estimator((), session.store.root)
    jobs = [
        Job(
            number,
            _label(task),
            TARGET,
            task,
            reports=True,
            exclusive=estimator.waits_for(task),
            weight=weight,
        )
        for number, (task, weight) in enumerate(zip(tasks, estimator.seconds(tasks), strict=True))
    ]
    for outcome in executor.outcomes(jobs):
        watcher.tick(executor.active(), None)
        if outcome is None:
            continue
        if outcome.state == "done":
            audits.append(outcome.value)
            continue
        key = tasks[outcome.job.number].key[:16]
        verdict = verdict_of_outcome(outcome, session.store, f"audit-{key}")
        others.append(NotAudited(outcome.job.label, verdict.status, verdict.reason))
    return audits, others


def _label(cell: Draft | CellTask) -> str:
    encoder = cell.encoder.name if cell.encoder else "none"
    return f"{cell.source.name}/{encoder}/{cell.algorithm.name}"
