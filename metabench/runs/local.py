"""The local executor: a pool of long-lived worker processes on this machine.

Each worker has a pipe of its own. So whatever becomes of one, killed at any point included, costs
the job that it was carrying out and nothing else: there is no lock or queue that it could leave
taken or torn.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import shutil
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from metabench.errors import MetabenchError
from metabench.registry.home import Environment
from metabench.runs.elsewhere import ProcessElsewhere
from metabench.runs.jobs import (
    Job,
    JobError,
    Outcome,
    Progress,
    ProgressFolder,
    Turns,
    call,
)
from metabench.runs.spawning import deaf_to_interrupts, main_not_imported, set_up_worker

TICK_SECONDS = 0.2
STOP_SECONDS = 1.0
MAX_FALSE_STARTS = 3
"""Workers that may die in a row before they are ready; then it is no accident."""

Message = tuple[str, Any]


class LocalExecutor:
    """Runs jobs in worker processes that import torch once and stay.

    Args:
        workers: How many processes.
        threads: Threads of each for tensor arithmetic. It is independent of the number of workers,
            since the order of a sum, and so the last bit of a result, depends on it.
        timeout: Seconds that a job may take; 0 sets no limit.
    """

    def __init__(self, workers: int, threads: int = 1, timeout: float = 0.0) -> None:
        self._size = workers
        self._threads = threads
        self._timeout = timeout
        self._progress = ProgressFolder()
        self._workers: list[_Worker] = []
        self._false_starts = 0
        atexit.register(self.close)

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[Outcome | None]:
        """Yield each job's outcome as it ends, and ``None`` a few times a second.

        Raises:
            MetabenchError: If workers die before they can do anything.
        """
        turns = Turns(jobs)
        while turns or self._busy():
            self._staff(turns)
            for worker in self._workers:
                if worker.idle and (job := turns.take(worker.environment)) is not None:
                    worker.start(job, self._progress.path(job))
            self._wait()
            for worker in list(self._workers):
                outcome = self._look_at(worker, turns)
                if outcome is not None:
                    turns.ended(outcome)
                    yield outcome
            yield None

    def active(self) -> list[Progress]:
        """Return what the running jobs said last."""
        return [self._progress.read(worker.job) for worker in self._workers if worker.job]

    def close(self) -> None:
        """Kill every worker: records are written whole or not at all."""
        atexit.unregister(self.close)
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        self._progress.remove()

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.job is not None]

    def _staff(self, turns: Turns) -> None:
        """Start workers up to the number that there is work for, evenly over the interpreters.

        One that there is nothing left to do for makes room for another interpreter's.
        """
        unmet = turns.waiting()
        unmet.subtract(worker.environment for worker in self._workers if worker.job is None)
        while wanted := [environment for environment, number in unmet.items() if number > 0]:
            if len(self._workers) >= self._size and not self._retire(unmet):
                return
            staff = Counter(worker.environment for worker in self._workers)
            environment = min(wanted, key=lambda one: staff[one])
            self._workers.append(_Worker(self._threads, self._progress.name, environment))
            unmet[environment] -= 1

    def _retire(self, unmet: Counter[Environment | None]) -> bool:
        """End a worker whose interpreter is not needed; say whether there was one."""
        for worker in self._workers:
            if worker.idle and unmet[worker.environment] < 0:
                unmet[worker.environment] += 1
                self._workers.remove(worker)
                worker.kill()
                worker.end()
                return True
        return False

    def _wait(self) -> None:
        """Wait until a worker has something to say, or for a tick."""
        signs: list[Any] = [worker.connection for worker in self._workers]
        signs += [
            worker.process.sentinel
            for worker in self._workers
            if isinstance(worker.process, BaseProcess)  # of others the pipe alone tells the end
        ]
        wait(signs, TICK_SECONDS)

    def _look_at(self, worker: _Worker, turns: Turns) -> Outcome | None:
        """Take a worker's message; replace it if it has died or overrun its time."""
        job = worker.job
        message = worker.receive()
        if message is not None:
            self._false_starts = 0
            kind, value = message
            worker.job = None
            if job is None:
                return None
            return (
                Outcome(job, "done", value)
                if kind == "done"
                else Outcome(job, "raised", error=value)
            )
        if worker.dead:
            self._workers.remove(worker)
            detail = worker.end()
            if not worker.begun:
                self._note_false_start(worker, detail)
                if job is not None:
                    turns.put_back(job)
                return None
            return Outcome(job, "killed", detail=detail) if job is not None else None
        if job is not None and self._timeout and worker.seconds > self._timeout:
            worker.kill()
            worker.end()
            self._workers.remove(worker)
            return Outcome(job, "timeout", detail=f"{self._timeout:g} s")
        return None

    def _note_false_start(self, worker: _Worker, detail: str) -> None:
        self._false_starts += 1
        if self._false_starts >= MAX_FALSE_STARTS:
            where = f" in {worker.environment}" if worker.environment else ""
            raise MetabenchError(
                f"{self._false_starts} workers in a row died while they started{where} ({detail}); "
                "what they wrote above says why, or `metabench doctor`"
            )


class _Worker:
    """One process, as its parent sees it."""

    def __init__(
        self, threads: int, progress_folder: str, environment: Environment | None = None
    ) -> None:
        self.environment = environment
        self.job: Job | None = None
        self.ready = False
        self.begun = False
        self.dead = False
        self._since = 0.0
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process: BaseProcess | ProcessElsewhere
        with deaf_to_interrupts(), main_not_imported():
            if environment is None:
                self.process = context.Process(
                    target=serve,
                    args=(other, threads, os.getpid(), progress_folder),
                    name="metabench",
                )
                self.process.start()
            else:
                self.process = ProcessElsewhere(environment, other, threads, progress_folder)
        other.close()

    @property
    def idle(self) -> bool:
        return self.ready and self.job is None and not self.dead and self.process.is_alive()

    @property
    def seconds(self) -> float:
        """How long the job has taken."""
        return time.monotonic() - self._since

    def start(self, job: Job, progress: str) -> None:
        self.job = job
        self.begun = False
        self._since = time.monotonic()
        try:
            self.connection.send((job, progress))
        except OSError:
            self.dead = True

    def receive(self) -> Message | None:
        """Return what the worker has said, if anything; note it if it has died."""
        try:
            while self.connection.poll():
                message: Message = self.connection.recv()
                if message[0] == "ready":
                    self.ready = True
                elif message[0] == "begun":
                    self.begun = True
                else:
                    return message
        except (EOFError, OSError):
            self.dead = True
            return None
        except Exception as error:  # noqa: BLE001 - whatever unpickling raises costs one job
            return "raised", JobError(type(error).__name__, str(error), traceback.format_exc())
        self.dead = not self.process.is_alive() and not self.connection.poll()
        return None

    def kill(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.process.kill()

    def end(self) -> str:
        """Let go of the process, and say how it ended."""
        self.process.join(STOP_SECONDS)
        code = self.process.exitcode
        if code is None:  # its pipe broke but it lives on
            self.kill()
            self.process.join(STOP_SECONDS)
        self.connection.close()
        if code is not None and code < 0:
            names = {int(each): each.name for each in signal.Signals}
            return f"signal {names.get(-code, -code)}"
        return f"exit code {code}"


def serve(connection: Connection, threads: int, parent: int, progress_folder: str) -> None:
    """Carry out jobs until the pipe is closed; the body of a worker process.

    Args:
        connection: The worker's end of its pipe.
        threads: Threads for tensor arithmetic.
        parent: The process that the worker ends with.
        progress_folder: Where reports are left; removed if the parent has had no time to.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent, progress_folder), daemon=True).start()
    set_up_worker(threads)
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        connection.send(("ready", None))
        while True:
            job, progress = connection.recv()
            connection.send(("begun", None))
            _answer(connection, job, progress)


def _answer(connection: Connection, job: Job, progress: str) -> None:
    """Carry out a job and send what came of it."""
    try:
        message: Message = ("done", call(job, progress))
    except (MetabenchError, JobError) as error:
        message = ("raised", error)
    try:
        connection.send(message)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever pickling raises costs one job
        trace = traceback.format_exc()
        connection.send(("raised", JobError(type(error).__name__, str(error), trace)))


def _end_with(parent: int, progress_folder: str) -> None:
    """End this process soon after its parent, which may have had no time to tidy up."""
    while os.getppid() == parent:
        time.sleep(TICK_SECONDS)
    shutil.rmtree(progress_folder, ignore_errors=True)
    os._exit(1)
