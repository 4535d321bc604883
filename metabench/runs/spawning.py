"""How worker processes are started, whoever starts them: this package or Dask."""

from __future__ import annotations

import contextlib
import multiprocessing.spawn
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

from metabench.runs.memory import keep_freed_memory

ANY_THREAD = 0

_lock = threading.Lock()
_without_main: list[int] = []


@contextlib.contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C, which goes to all of a terminal's processes, never reaches.

    They inherit the signal mask, and so do threads that are started here, with their processes.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def main_not_imported(*, everywhere: bool = False) -> Iterator[None]:
    """Keep processes that are started meanwhile from importing the user's script again.

    Spawned processes import the parent's ``__main__``; a script that calls ``metabench.run``
    without a ``__main__`` guard would then start itself over. Jobs name importable functions, so
    workers have no need of it.

    Args:
        everywhere: Whether this holds for the processes that other threads start, too.
    """
    thread = ANY_THREAD if everywhere else threading.get_ident()
    with _lock:
        if not _without_main:
            multiprocessing.spawn.get_preparation_data = _preparation_data
        _without_main.append(thread)
    try:
        yield
    finally:
        with _lock:
            _without_main.remove(thread)
            if not _without_main:
                multiprocessing.spawn.get_preparation_data = _original


_original = multiprocessing.spawn.get_preparation_data


def _preparation_data(name: str) -> dict[str, Any]:
    data = _original(name)
    if {ANY_THREAD, threading.get_ident()}.isdisjoint(_without_main):
        return data
    return {key: value for key, value in data.items() if not key.startswith("init_main")}


def set_up_worker(threads: int) -> None:
    """Set this process up as a worker: quiet on stdout, with a fixed number of threads.

    Args:
        threads: Threads for tensor arithmetic.
    """
    keep_freed_memory()
    os.dup2(2, 1)  # what a plugin prints must not mix with the run's own output
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    import torch  # noqa: PLC0415 - only workers need it

    torch.set_num_threads(threads)
