"""The interface of executors: jobs in, outcomes out, in any order."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from metabench.errors import InapplicableError, MetabenchError, UnavailableError, UsageError
from metabench.registry.home import Environment

REPORT_SECONDS = 0.3
"""Time between two reports of a job's progress."""


@dataclass(frozen=True)
class Job:
    """One call in a worker.

    Attributes:
        number: Identifies the job among those of one run.
        label: For the display.
        target: ``package.module:function``, called with the payload and, if ``reports`` is set, a
            function ``report(stage, done, total)``.
        payload: The argument.
        reports: Whether the target reports progress.
        exclusive: Jobs with the same text wait until the first of them is done: they share a
            checkpoint that the first one trains. Empty for none.
        weight: Estimated seconds.
        environment: The other interpreter that carries it out; ``None`` for this one.
    """

    number: int
    label: str
    target: str
    payload: Any
    reports: bool = False
    exclusive: str = ""
    weight: float = 1.0
    environment: Environment | None = None


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        job: The job.
        state: ``done``, ``raised``, ``killed`` (the worker died) or ``timeout``.
        value: What the target returned.
        error: What it raised.
        detail: The signal or exit code of a worker that died, or the limit that was passed.
    """

    job: Job
    state: Literal["done", "raised", "killed", "timeout"]
    value: Any = None
    error: BaseException | None = None
    detail: str = ""


@dataclass(frozen=True)
class Progress:
    """What a running job said last."""

    label: str
    stage: str
    done: int
    total: int


class Executor(Protocol):
    """Carries out jobs; a crash costs one job and its worker, nothing else."""

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[Outcome | None]:
        """Yield each job's outcome as it ends, and ``None`` a few times a second."""

    def active(self) -> list[Progress]:
        """Return what the running jobs said last."""

    def close(self) -> None:
        """End every worker at once."""


class JobError(Exception):
    """An exception of a plugin, as text: its own class might not survive the way to this process.

    Attributes:
        kind: The name of the exception's class.
        trace: The traceback.
    """

    def __init__(self, kind: str, message: str, trace: str) -> None:
        super().__init__(kind, message, trace)
        self.kind = kind
        self.message = message
        self.trace = trace

    def __str__(self) -> str:
        """Return the class and the message."""
        return f"{self.kind}: {self.message}" if self.message else self.kind


class Turns:
    """Whose turn it is: the heaviest job first, one at a time where jobs share a checkpoint.

    Args:
        jobs: The jobs.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._pending = sorted(jobs, key=lambda job: -job.weight)
        self._busy: set[str] = set()
        self._ready = {""}

    def __len__(self) -> int:
        """Return how many jobs have not been handed out."""
        return len(self._pending)

    def take(self, environment: Environment | None = None) -> Job | None:
        """Hand out a job.

        Args:
            environment: The interpreter that will carry it out.

        Returns:
            ``None`` if all must wait for a checkpoint, or none is left for the interpreter.
        """
        for position, job in enumerate(self._pending):
            free = job.exclusive not in self._busy or job.exclusive in self._ready
            if free and job.environment == environment:
                self._busy.add(job.exclusive)
                return self._pending.pop(position)
        return None

    def waiting(self) -> Counter[Environment | None]:
        """Count the jobs that have not been handed out, by interpreter."""
        return Counter(job.environment for job in self._pending)

    def put_back(self, job: Job) -> None:
        """Take back a job that was handed out and never begun."""
        self._busy.discard(job.exclusive)
        self._pending.insert(0, job)

    def ended(self, outcome: Outcome) -> None:
        """Take note that a job has ended."""
        self._busy.discard(outcome.job.exclusive)
        if outcome.state == "done":
            self._ready.add(outcome.job.exclusive)


def call(job: Job, progress: str = "") -> Any:
    """Carry out a job in this process.

    Args:
        job: What to call.
        progress: A file to keep the last report in.

    Returns:
        What the target returns.

    Raises:
        MetabenchError: If the target raises one.
        JobError: If it raises anything else.
    """
    try:
        return _call(job, progress)
    except MetabenchError as error:
        # A plugin's own subclass might not survive the way to the parent; these do.
        for kind in (UnavailableError, InapplicableError, UsageError):
            if isinstance(error, kind):
                raise kind(str(error)) from None
        raise MetabenchError(str(error)) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
        raise JobError(type(error).__name__, str(error), traceback.format_exc()) from None


def _call(job: Job, progress: str) -> Any:
    module, _, name = job.target.partition(":")
    function = getattr(importlib.import_module(module), name)
    if not job.reports:
        return function(job.payload)
    last = 0.0

    def report(stage: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if progress and (now - last >= REPORT_SECONDS or done >= total):
            last = now
            _write_progress(Path(progress), stage, done, total)

    return function(job.payload, report)


def _write_progress(path: Path, stage: str, done: int, total: int) -> None:
    temporary = Path(f"{path}.{os.getpid()}")
    with contextlib.suppress(OSError):  # no cell fails because its progress cannot be shown
        temporary.write_text(json.dumps([stage, done, total]), "utf-8")
        temporary.replace(path)


class ProgressFolder:
    """Where workers leave their last report: files, since a killed worker cannot jam them."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="metabench-", ignore_cleanup_errors=True)

    @property
    def name(self) -> str:
        """The folder's path."""
        return self._folder.name

    def path(self, job: Job) -> str:
        """Return the file of one job."""
        return str(Path(self._folder.name) / f"{job.number}.json")

    def read(self, job: Job) -> Progress:
        """Return what a job said last."""
        try:
            stage, done, total = json.loads(Path(self.path(job)).read_text("utf-8"))
        except (OSError, ValueError):
            return Progress(job.label, "starts", 0, 0)
        return Progress(job.label, stage, done, total)

    def remove(self) -> None:
        """Delete the folder."""
        self._folder.cleanup()
