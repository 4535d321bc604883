"""Records of cells that have no scores, and where every record says it comes from. No torch."""

from __future__ import annotations

import importlib.metadata
import platform
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import metabench
from metabench.atomic import write_text
from metabench.errors import InapplicableError, MetabenchError, UnavailableError
from metabench.registry.candidates import CORE
from metabench.runs.hardware import cores, processor
from metabench.runs.jobs import JobError, Outcome
from metabench.runs.record import Failure, Record, Status
from metabench.runs.store import Store
from metabench.runs.tasks import CellTask

REASON_LENGTH = 500


def provenance(task: CellTask, started: datetime, **more: Any) -> dict[str, Any]:
    """Return versions, machine and times of a cell.

    Args:
        task: The cell.
        started: When it began.
        more: What only the worker knows, such as its threads.
    """
    return {
        "metabench": metabench.__version__,
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "numpy": importlib.metadata.version("numpy"),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": cores(),
        "device": task.place.device,
        "precision": task.place.precision,
        "source": f"{task.source.distribution} {task.source.version}",
        "encoder": f"{task.encoder.distribution} {task.encoder.version}" if task.encoder else "",
        "protocol": task.protocol.model_dump(mode="json"),
        **_own_data(task),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
        **more,
    }


def _own_data(task: CellTask) -> dict[str, list[str]]:
    """Return the flags that named own data: the core has no other sources."""
    words = task.source.info.options.get("words") if task.source.distribution == CORE else None
    return {"own_data": list(words)} if words else {}


def unanswered(
    task: CellTask,
    status: Status,
    reason: str,
    *,
    exception: str = "",
    trace: str = "",
    started: datetime | None = None,
) -> Record:
    """Return the record of a cell that has no scores.

    Args:
        task: The cell.
        status: Why it has none.
        reason: One line for the table.
        exception: The class of what was raised, if anything was.
        trace: Where the traceback is, below the store.
        started: When the cell began.
    """
    return Record(
        key=task.key,
        key_parts=task.key_parts,
        cell=task.cell,
        status=status,
        failure=Failure(
            reason=" ".join(reason.split())[:REASON_LENGTH],
            exception=exception,
            traceback=trace,
        ),
        provenance=provenance(task, started or datetime.now(UTC)),
        notes=task.notes,
    )


@dataclass(frozen=True)
class Verdict:
    """Why a cell has no scores.

    Attributes:
        status: ``inapplicable``, ``unavailable``, ``failed``, ``killed`` or ``timeout``.
        reason: One line.
        exception: The class of what was raised, if anything was.
        trace: Where the traceback is, below the store.
    """

    status: Status
    reason: str
    exception: str = ""
    trace: str = ""

    def record(self, task: CellTask, started: datetime | None = None) -> Record:
        """Return the record that says so.

        Args:
            task: The cell.
            started: When it began.
        """
        return unanswered(
            task,
            self.status,
            self.reason,
            exception=self.exception,
            trace=self.trace,
            started=started,
        )


def verdict_of_error(error: BaseException, store: Store, name: str, what: str = "") -> Verdict:
    """Describe what was raised: by the kind of error, with the traceback of an unforeseen one.

    Args:
        error: What was raised.
        store: Where the traceback is kept.
        name: The name of the traceback's file.
        what: What was being done, if the reason has to say so.
    """
    if isinstance(error, JobError):
        kind, message, trace = error.kind, error.message, error.trace
    else:
        kind, message = type(error).__name__, str(error)
        trace = "".join(traceback.format_exception(error))
    if isinstance(error, UnavailableError):
        return Verdict("unavailable", message)
    if isinstance(error, InapplicableError):
        return Verdict("inapplicable", message)
    prefix = f"{what}: " if what else ""
    if kind in {"MemoryError", "OutOfMemoryError"}:
        return Verdict("killed", f"{prefix}out of memory: {message}", kind)
    if isinstance(error, MetabenchError):
        return Verdict("failed", f"{prefix}{message}", kind)
    path = store.root / "tracebacks" / f"{name}.txt"
    write_text(path, trace)
    reason = f"{prefix}{kind}: {message}" if message else f"{prefix}{kind}"
    return Verdict("failed", reason, kind, str(path.relative_to(store.root)))


def verdict_of_outcome(outcome: Outcome, store: Store, name: str, what: str = "") -> Verdict:
    """Describe a job that returned nothing.

    Args:
        outcome: How the job ended.
        store: Where a traceback is kept.
        name: The name of the traceback's file.
        what: What was being done, if the reason has to say so.
    """
    prefix = f"{what}: " if what else ""
    if outcome.state == "timeout":
        return Verdict("timeout", f"{prefix}took longer than {outcome.detail}")
    if outcome.state == "killed":
        return Verdict("killed", f"{prefix}the worker was ended ({outcome.detail})")
    assert outcome.error is not None
    return verdict_of_error(outcome.error, store, name, what)


def record_of_outcome(outcome: Outcome, task: CellTask, store: Store) -> Record:
    """Turn what became of a job into the cell's record, writing it if the worker could not.

    Args:
        outcome: How the job ended.
        task: The cell.
        store: The store.

    Returns:
        The record as kept. A worker that died after it had written its record has done its work.

    Raises:
        MetabenchError: If the store cannot be written to.
    """
    if outcome.state == "done":
        record: Record = outcome.value
        return record
    if isinstance(outcome.error, MetabenchError):
        raise outcome.error
    return store.put(verdict_of_outcome(outcome, store, task.key[:16]).record(task))
