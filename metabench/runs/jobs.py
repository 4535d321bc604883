"""The interface of executors: jobs in, outcomes out, in any order."""

from __future__ import annotations

import importlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

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
    """

    number: int
    label: str
    target: str
    payload: Any
    reports: bool = False
    exclusive: str = ""
    weight: float = 1.0


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


def in_turn(pending: list[Job], busy: set[str], ready: set[str]) -> Job | None:
    """Take the next job that need not wait for a checkpoint.

    Args:
        pending: Jobs in order of preference; the one returned is removed.
        busy: Checkpoints that are being trained.
        ready: Checkpoints that have been trained.

    Returns:
        A job, or ``None`` if all must wait.
    """
    for position, job in enumerate(pending):
        if job.exclusive not in busy or job.exclusive in ready:
            return pending.pop(position)
    return None


def call(job: Job, progress: str = "") -> Any:
    """Carry out a job in this process.

    Args:
        job: What to call.
        progress: A file to keep the last report in.

    Returns:
        What the target returns.
    """
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
    temporary.write_text(json.dumps([stage, done, total]), "utf-8")
    temporary.replace(path)


class ProgressFolder:
    """Where workers leave their last report: files, since a killed worker cannot jam them."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="metabench-", ignore_cleanup_errors=True)

    def path(self, job: Job) -> str:
        """Return the file of one job."""
        return str(Path(self._folder.name) / f"{job.number}.json")

    def read(self, job: Job) -> Progress:
        """Return what a job said last."""
        try:
            stage, done, total = json.loads(Path(self.path(job)).read_text("utf-8"))
        except (OSError, ValueError):
            return Progress(job.label, "start", 0, 0)
        return Progress(job.label, stage, done, total)

    def remove(self) -> None:
        """Delete the folder."""
        self._folder.cleanup()
