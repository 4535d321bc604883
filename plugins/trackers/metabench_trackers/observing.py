"""What the trackers share: they are switched on by name, and work in a thread of their own.

A server that is slow or gone must not hold up a run, so what is to be tracked waits in a queue. The
first failure ends the tracking; it is raised at the next occasion, where metabench reports it.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import os
import queue
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from metabench.runs.record import Record

FINISH_SECONDS = 60.0
"""How long the end of a run waits for a tracker to take everything."""
ABORT_SECONDS = 15.0
"""The same where the run was interrupted."""


class Tracker(Protocol):
    """One run in a tracker; every method is called in the same thread.

    The constructor takes the value of the variable that switched it on, and may take seconds.
    """

    def start(self, cells: int, store: str) -> None:
        """Begin a run of so many cells, whose records go to a folder."""

    def cell(self, record: Record) -> None:
        """Take in a finished cell."""

    def finish(self, tables: tuple[str, ...], statuses: Counter[str]) -> None:
        """End the run: its CSV files, and how many cells ended how."""

    def abort(self) -> None:
        """End a run that was interrupted."""


@dataclass
class _Session:
    """A tracker at work: its queue, its thread, and what has become of it."""

    tasks: queue.SimpleQueue[Callable[[Tracker], None] | None] = field(
        default_factory=queue.SimpleQueue
    )
    statuses: Counter[str] = field(default_factory=Counter)
    error: BaseException | None = None
    thread: threading.Thread | None = None

    def work(self, make: Callable[[], Tracker]) -> None:
        """Do what waits in the queue until it holds ``None``; the body of the thread."""
        try:
            tracker = make()
            while (task := self.tasks.get()) is not None:
                task(tracker)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the run goes on without it
            self.error = error


class Observer:
    """Passes what metabench's observer hooks are told to a tracker.

    Args:
        variable: The environment variable that switches it on; its value is the tracker's.
        library: The module that the tracker needs.
        tracker: ``package.module:Class`` of the `Tracker`, imported when a run begins.
    """

    def __init__(self, variable: str, library: str, tracker: str) -> None:
        self._variable = variable
        self._library = library
        self._tracker = tracker
        self._session: _Session | None = None

    def started(self, cells: int, store: str) -> None:
        """Begin, if it is switched on.

        Raises:
            RuntimeError: If the library is not installed.
        """
        self._abort()
        value = os.environ.get(self._variable, "").strip()
        if not value:
            return
        if importlib.util.find_spec(self._library) is None:
            raise RuntimeError(
                f"{self._variable} is set and {self._library} is not installed; run "
                f"`pip install 'metabench-trackers[{self._library}]'`"
            )
        session = _Session()
        session.tasks.put(lambda tracker: tracker.start(cells, store))
        session.thread = threading.Thread(
            target=session.work, args=(lambda: self._make(value),), name=self._library, daemon=True
        )
        session.thread.start()
        self._session = session
        atexit.register(self._abort)

    def finished_cell(self, record: Record) -> None:
        """Pass on a cell.

        Raises:
            RuntimeError: If the tracker has failed; it is then left alone.
        """
        if (session := self._session) is not None:
            self._raise_failure(session)
            session.statuses[record.status] += 1
            session.tasks.put(lambda tracker: tracker.cell(record))

    def finished(self, tables: tuple[str, ...]) -> None:
        """End, and wait until the tracker has taken everything, but not for ever.

        Raises:
            RuntimeError: If the tracker has failed, or takes too long.
        """
        if (session := self._session) is None:
            return
        session.tasks.put(lambda tracker: tracker.finish(tables, session.statuses))
        self._close(session, FINISH_SECONDS)
        self._raise_failure(session)
        if session.thread is not None and session.thread.is_alive():
            raise RuntimeError(
                f"{self._library} did not take everything within {FINISH_SECONDS:g} seconds, so "
                "what it shows of this run may be incomplete"
            )

    def _abort(self) -> None:
        if (session := self._session) is not None:
            session.tasks.put(lambda tracker: tracker.abort())
            self._close(session, ABORT_SECONDS)

    def _close(self, session: _Session, seconds: float) -> None:
        self._session = None
        atexit.unregister(self._abort)
        session.tasks.put(None)
        if session.thread is not None:
            session.thread.join(seconds)

    def _raise_failure(self, session: _Session) -> None:
        if session.error is None:
            return
        self._session = None
        atexit.unregister(self._abort)
        error = session.error
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise RuntimeError(f"{self._library} at {self._variable} failed ({said})") from error

    def _make(self, value: str) -> Tracker:
        module, _, name = self._tracker.partition(":")
        made: Any = getattr(importlib.import_module(module), name)(value)
        tracker: Tracker = made
        return tracker
