"""The local executor: a pool of long-lived worker processes on this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.spawn
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from pebble import ProcessExpired, ProcessPool

from metabench.runs.jobs import Job, Outcome, Progress, ProgressFolder, call, in_turn

TICK_SECONDS = 0.2
STOP_SECONDS = 1.0


class LocalExecutor:
    """Runs jobs in worker processes that import torch once and stay.

    Args:
        workers: How many processes.
        threads: Threads of each for tensor arithmetic. It is independent of the number of workers,
            since the order of a sum, and so the last bit of a result, depends on it.
        timeout: Seconds that a job may take; 0 sets no limit.
    """

    def __init__(self, workers: int, threads: int = 1, timeout: float = 0.0) -> None:
        self._workers = workers
        self._timeout = timeout
        self._progress = ProgressFolder()
        self._running: dict[Future[Any], Job] = {}
        self._pool = ProcessPool(
            max_workers=workers,
            initializer=_start_worker,
            initargs=(threads, os.getpid()),
            context=multiprocessing.get_context("spawn"),
        )

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[Outcome | None]:
        """Yield each job's outcome as it ends, and ``None`` a few times a second."""
        pending = sorted(jobs, key=lambda job: -job.weight)
        busy: set[str] = set()
        ready = {""}
        while pending or self._running:
            while len(self._running) < self._workers:
                job = in_turn(pending, busy, ready)
                if job is None:
                    break
                busy.add(job.exclusive)
                self._start(job)
            ended, _ = wait(self._running, TICK_SECONDS, FIRST_COMPLETED)
            for future in ended:
                job = self._running.pop(future)
                outcome = _outcome(job, future, self._timeout)
                busy.discard(job.exclusive)
                if outcome.state == "done":
                    ready.add(job.exclusive)
                yield outcome
            yield None

    def active(self) -> list[Progress]:
        """Return what the running jobs said last."""
        return [self._progress.read(job) for job in self._running.values()]

    def close(self) -> None:
        """Kill every worker: records are written whole or not at all."""
        children = multiprocessing.active_children()
        self._pool.stop()
        for child in children:
            with contextlib.suppress(ProcessLookupError, ValueError):
                child.kill()
        with contextlib.suppress(TimeoutError, FutureTimeoutError):
            self._pool.join(STOP_SECONDS)
        self._progress.remove()

    def _start(self, job: Job) -> None:
        with _main_not_imported():
            future = self._pool.schedule(
                call, args=(job, self._progress.path(job)), timeout=self._timeout or None
            )
        self._running[future] = job


def _outcome(job: Job, future: Future[Any], timeout: float) -> Outcome:
    error = future.exception()
    if error is None:
        return Outcome(job, "done", value=future.result())
    if isinstance(error, ProcessExpired):
        code = error.exitcode
        if code is not None and code < 0:
            detail = f"signal {signal.Signals(-code).name}"
        else:
            detail = f"exit code {code}"
        return Outcome(job, "killed", error=error, detail=detail)
    if isinstance(error, TimeoutError | FutureTimeoutError):
        return Outcome(job, "timeout", error=error, detail=f"{timeout:g} s")
    return Outcome(job, "raised", error=error)


def _start_worker(threads: int, parent: int) -> None:
    """Set a worker up: quiet, single-minded, and gone when its parent is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)  # what a plugin prints must not mix with the run's own output
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    import torch  # noqa: PLC0415 - only workers need it

    torch.set_num_threads(threads)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(TICK_SECONDS)
    os._exit(1)


@contextlib.contextmanager
def _main_not_imported() -> Iterator[None]:
    """Keep new workers from importing the user's script again.

    Spawned processes import the parent's ``__main__``; a script that calls ``metabench.run``
    without a ``__main__`` guard would then start itself over. Jobs name importable functions, so
    workers have no need of it.
    """
    original = multiprocessing.spawn.get_preparation_data

    def without_main(name: str) -> dict[str, Any]:
        data = original(name)
        return {k: v for k, v in data.items() if not k.startswith("init_main")}

    multiprocessing.spawn.get_preparation_data = without_main
    try:
        yield
    finally:
        multiprocessing.spawn.get_preparation_data = original
