"""The Dask executor: the same jobs and store on any Dask cluster (extra ``dask``)."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from metabench.errors import UnavailableError, UsageError
from metabench.runs.jobs import Job, Outcome, Progress, Turns, call
from metabench.runs.spawning import deaf_to_interrupts, main_not_imported, set_up_worker

TICK = "200ms"
CONNECT_SECONDS = 10
STOP_SECONDS = 1.0
MISSED_SECONDS = 5.0
"""How long a worker may be gone before the job that was meant for it counts as lost."""


class DaskExecutor:
    """Runs jobs on a Dask cluster; a worker that dies costs the job that it was running.

    A worker is given one job at a time, whatever number of threads it has: the seeds of a process
    are global, and a job that waits in the queue of a worker would die with it.

    Args:
        address: The scheduler; empty starts a cluster of processes on this machine. Dask's
            scheduler trusts whoever reaches it: use TLS on a shared network.
        workers: Processes of a cluster on this machine.

    Raises:
        UnavailableError: If Dask is not installed.
        UsageError: If the scheduler cannot be reached.
    """

    def __init__(self, address: str, workers: int) -> None:
        try:
            self._dask: Any = importlib.import_module("distributed")
        except ImportError as missing:
            raise UnavailableError(
                "--executor dask needs the package distributed", "pip install 'metabench[dask]'"
            ) from missing
        self._running: dict[Any, _Running] = {}
        self._cluster: Any = None
        self._stack = contextlib.ExitStack()
        if address:
            self._client = self._connect(address)
            return
        self._stack.enter_context(main_not_imported(everywhere=True))
        config = importlib.import_module("dask").config
        with deaf_to_interrupts(), config.set({"distributed.scheduler.allowed-failures": 0}):
            self._cluster = self._dask.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
            self._client = self._dask.Client(self._cluster)

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[Outcome | None]:
        """Yield each job's outcome as it ends, and ``None`` a few times a second."""
        turns = Turns(jobs)
        while turns or self._running:
            workers = set(self._client.nthreads())
            for worker in sorted(workers - {running.worker for running in self._running.values()}):
                if (job := turns.take()) is None:
                    break
                self._start(job, worker)
            for outcome in [*self._ended(), *self._lost(workers)]:
                turns.ended(outcome)
                yield outcome
            yield None

    def active(self) -> list[Progress]:
        """Return the jobs in flight; workers elsewhere do not report their progress."""
        return [Progress(running.job.label, "runs", 0, 0) for running in self._running.values()]

    def close(self) -> None:
        """Cancel what runs and leave the cluster; one that was started here is ended."""
        with contextlib.suppress(Exception):  # whatever it is, the run is over
            self._client.cancel(list(self._running), force=True)
        self._running.clear()
        if self._cluster is not None:
            for nanny in self._cluster.workers.values():
                nanny.auto_restart = False
                with contextlib.suppress(OSError, TypeError):
                    os.kill(nanny.pid, signal.SIGKILL)
        with contextlib.suppress(Exception):
            self._client.close(timeout=STOP_SECONDS)
        if self._cluster is not None:
            with contextlib.suppress(Exception):
                self._cluster.close(timeout=STOP_SECONDS)
        self._stack.close()

    def _connect(self, address: str) -> Any:
        try:
            return self._dask.Client(address, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            raise UsageError(f"--dask-address {address!r} cannot be reached: {error}") from error

    def _start(self, job: Job, worker: str) -> None:
        future = self._client.submit(
            _call_on_worker,
            job,
            own=self._cluster is not None,
            workers=[worker],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
        self._running[future] = _Running(job, worker)

    def _ended(self) -> list[Outcome]:
        if not self._running:
            time.sleep(0.2)  # no worker is there yet
            return []
        try:
            waited = self._dask.wait(
                list(self._running), timeout=TICK, return_when="FIRST_COMPLETED"
            )
        except (TimeoutError, self._dask.TimeoutError):
            return []
        return [self._take(future) for future in waited.done]

    def _take(self, future: Any) -> Outcome:
        """Turn a future that has ended into an outcome."""
        job = self._running.pop(future).job
        try:
            if future.status == "finished":
                return Outcome(job, "done", value=future.result())
            if future.status == "cancelled":
                return Outcome(job, "killed", detail="Dask cancelled it")
            error = future.exception()
        finally:
            # A result that Dask still held would be computed again if its worker died later.
            future.release()
        if type(error).__name__ == "KilledWorker":
            return Outcome(job, "killed", error=error, detail="its Dask worker died")
        return Outcome(job, "raised", error=error)

    def _lost(self, workers: set[str]) -> Iterator[Outcome]:
        """Give up jobs whose worker left before it began with them: Dask would wait for it."""
        now = time.monotonic()
        for future, running in list(self._running.items()):
            if running.worker in workers or future.done():
                running.seen = now
            elif now - running.seen > MISSED_SECONDS:
                del self._running[future]
                future.cancel(force=True)
                yield Outcome(running.job, "killed", detail="its Dask worker left")


@dataclass
class _Running:
    job: Job
    worker: str
    seen: float = 0.0

    def __post_init__(self) -> None:
        self.seen = time.monotonic()


def _call_on_worker(job: Job, *, own: bool) -> Any:
    """Carry out a job in a Dask worker; ``own`` if this run has started it."""
    if own:
        set_up_worker(threads=1)
    else:
        import torch  # noqa: PLC0415 - only workers need it

        torch.set_num_threads(1)
    return call(job)
