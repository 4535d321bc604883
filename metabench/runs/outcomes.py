"""Records of cells that have no scores, and where every record says it comes from. No torch."""

from __future__ import annotations

import importlib.metadata
import platform
import traceback
from datetime import UTC, datetime
from typing import Any

import metabench
from metabench.atomic import write_text
from metabench.errors import InapplicableError, MetabenchError, UnavailableError
from metabench.runs.jobs import Outcome
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
        "device": task.place.device,
        "precision": task.place.precision,
        "source": f"{task.source.distribution} {task.source.version}",
        "encoder": f"{task.encoder.distribution} {task.encoder.version}" if task.encoder else "",
        "protocol": task.protocol.model_dump(mode="json"),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
        **more,
    }


def unanswered(
    task: CellTask,
    status: Status,
    reason: str,
    *,
    error: BaseException | None = None,
    trace: str = "",
    started: datetime | None = None,
) -> Record:
    """Return the record of a cell that has no scores.

    Args:
        task: The cell.
        status: Why it has none.
        reason: One line for the table.
        error: What was raised, if anything.
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
            exception=type(error).__name__ if error is not None else "",
            traceback=trace,
        ),
        provenance=provenance(task, started or datetime.now(UTC)),
        notes=task.notes,
    )


def record_of_error(
    task: CellTask, error: BaseException, store: Store, started: datetime | None = None
) -> Record:
    """Describe a cell that raised: by the kind of error, with the traceback of an unforeseen one.

    Args:
        task: The cell.
        error: What was raised.
        store: Where the traceback is kept.
        started: When the cell began.
    """
    if isinstance(error, UnavailableError):
        return unanswered(task, "unavailable", str(error), started=started)
    if isinstance(error, InapplicableError):
        return unanswered(task, "inapplicable", str(error), started=started)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        reason = f"out of memory: {error}"
        return unanswered(task, "killed", reason, error=error, started=started)
    if isinstance(error, MetabenchError):
        return unanswered(task, "failed", str(error), error=error, started=started)
    path = store.root / "tracebacks" / f"{task.key[:16]}.txt"
    write_text(path, "".join(traceback.format_exception(error)))
    reason = f"{type(error).__name__}: {error}"
    trace = str(path.relative_to(store.root))
    return unanswered(task, "failed", reason, error=error, trace=trace, started=started)


def record_of_outcome(outcome: Outcome, task: CellTask, store: Store) -> Record:
    """Turn what became of a job into the cell's record, writing it if the worker could not.

    Args:
        outcome: How the job ended.
        task: The cell.
        store: The store.

    Returns:
        The record as kept.

    Raises:
        MetabenchError: If the worker could not write to the store.
    """
    if outcome.state == "done":
        record: Record = outcome.value
        return record
    if outcome.state == "timeout":
        return store.put(unanswered(task, "timeout", f"took longer than {outcome.detail}"))
    if outcome.state == "killed":
        return store.put(unanswered(task, "killed", f"the worker was ended ({outcome.detail})"))
    if isinstance(outcome.error, MetabenchError):
        raise outcome.error
    assert outcome.error is not None
    return store.put(record_of_error(task, outcome.error, store))
