"""The Dask executor: the same jobs and store on any Dask cluster (extra ``dask``)."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

from metabench.errors import UnavailableError
from metabench.runs.jobs import Job, Outcome, Progress, Turns, call

TICK = "200ms"


class DaskExecutor:
    """Runs jobs on a Dask cluster; a worker that dies costs the job that it was running.

    Args:
        address: The scheduler; empty starts a cluster of processes on this machine. Dask's
            scheduler trusts whoever reaches it: use TLS on a shared network.
        workers: Processes of a cluster on this machine.

    Raises:
        UnavailableError: If Dask is not installed.
    """

    def __init__(self, address: str, workers: int) -> None:
        try:
            self._dask: Any = importlib.import_module("distributed")
        except ImportError as missing:
            raise UnavailableError(
                "--executor dask needs the package distributed", "pip install 'metabench[dask]'"
            ) from missing
        importlib.import_module("dask").config.set(
            {
                "distributed.scheduler.allowed-failures": 0,
                "distributed.logging.distributed": "error",
            }
        )
        self._cluster = None
        if not address:
            self._cluster = self._dask.LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None, processes=True
            )
        self._client = self._dask.Client(address or self._cluster)
        self._slots = workers if not address else max(1, len(self._client.nthreads()))
        self._running: dict[Any, Job] = {}

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[Outcome | None]:
        """Yield each job's outcome as it ends, and ``None`` a few times a second."""
        turns = Turns(jobs)
        while turns or self._running:
            while len(self._running) < self._slots and (job := turns.take()) is not None:
                future = self._client.submit(_call_on_worker, job, pure=False, retries=0)
                self._running[future] = job
            for future in self._ended():
                outcome = self._outcome(self._running.pop(future), future)
                turns.ended(outcome)
                yield outcome
            yield None

    def active(self) -> list[Progress]:
        """Return the jobs in flight; workers elsewhere do not report their progress."""
        return [Progress(job.label, "runs", 0, 0) for job in self._running.values()]

    def close(self) -> None:
        """Cancel what runs and leave the cluster."""
        self._client.cancel(list(self._running), force=True)
        self._client.close(timeout=1)
        if self._cluster is not None:
            self._cluster.close(timeout=1)

    def _ended(self) -> list[Any]:
        try:
            waited = self._dask.wait(
                list(self._running), timeout=TICK, return_when="FIRST_COMPLETED"
            )
        except (TimeoutError, self._dask.TimeoutError):
            return []
        return list(waited.done)

    def _outcome(self, job: Job, future: Any) -> Outcome:
        if future.status == "finished":
            return Outcome(job, "done", value=future.result())
        error = future.exception()
        if isinstance(error, importlib.import_module("distributed.scheduler").KilledWorker):
            return Outcome(job, "killed", error=error, detail="its Dask worker died")
        return Outcome(job, "raised", error=error)


def _call_on_worker(job: Job) -> Any:
    import torch  # noqa: PLC0415 - only workers need it

    torch.set_num_threads(1)
    return call(job)
