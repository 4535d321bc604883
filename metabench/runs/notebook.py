"""Live progress of a run in a notebook: one output that is redrawn; no widgets are needed."""

from __future__ import annotations

import html
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from metabench.runs.display import counted, left_text, outcome_text, plan_text, share_text
from metabench.runs.jobs import Progress
from metabench.runs.record import Record
from metabench.runs.watcher import Watcher

SECONDS = 0.5
"""Least time between two drawings."""
LAST = 5
"""Finished cells that are named."""


class Handle(Protocol):
    """What IPython's ``display`` returns: something that is drawn anew."""

    def update(self, shown: Any) -> None:
        """Draw something else in its place."""


class Shown:
    """Text with a bar, as a notebook shows it and as it is kept without one.

    Args:
        lines: What there is to say.
        done: How much is done.
        total: Of how much; 0 if that is not known.
    """

    def __init__(self, lines: Sequence[str], done: int, total: int) -> None:
        self._lines = tuple(lines)
        self._done = done
        self._total = total

    def __repr__(self) -> str:
        """Return the lines."""
        return "\n".join(self._lines)

    def _repr_html_(self) -> str:
        bar = ""
        if self._total:
            bar = (
                f'<progress value="{self._done}" max="{self._total}" style="width:24em"></progress>'
            )
        text = "<br>".join(html.escape(line) for line in self._lines)
        return f'<div style="font-family:monospace">{bar}<br>{text}</div>'


class NotebookWatcher(Watcher):
    """Shows a run in one output of a notebook's cell.

    Args:
        display: Shows something for the first time: IPython's ``display`` with ``display_id``.
    """

    def __init__(self, display: Callable[[Any], Handle]) -> None:
        self._display = display
        self._handle: Handle | None = None
        self._drawn = 0.0
        self._plan = "plans the run"
        self._done = self._total = 0
        self._last: list[str] = []
        self._recognised: list[str] = []

    def recognised(self, lines: Sequence[str]) -> None:
        """Say what own data were taken for, for as long as the run is shown."""
        self._recognised += lines
        self._draw([], force=True)

    def preparing(self, labels: Sequence[str]) -> None:
        """Name the sources and embeddings that are made for the first time."""
        self._plan = "first of all: " + ", ".join(labels)
        self._draw([], force=True)

    def planned(self, total: int, found: int, to_run: int, seconds: float) -> None:
        """Say how much there is to do."""
        self._plan = plan_text(total, found, to_run, seconds)
        self._total = to_run
        self._draw([], force=True)

    def finished(self, record: Record, done: int, total: int) -> None:
        """Count a finished cell, and name it for a while."""
        self._done, self._total = done, total
        self._last = [*self._last, f"{record.cell.label}  {outcome_text(record)}"][-LAST:]
        self._draw([], force=done == total)

    def tick(self, active: Sequence[Progress], left: float | None) -> None:
        """Draw what the workers do."""
        doing = [f"{one.stage} {share_text(one)} {one.label}" for one in active]
        if self._total:
            cells = counted(self._total, "cell")
            doing.insert(0, f"{self._done} of {cells} done{left_text(left)}")
        self._draw(doing, force=False)

    def _draw(self, doing: Sequence[str], *, force: bool) -> None:
        now = time.monotonic()
        if not force and now - self._drawn < SECONDS:
            return
        self._drawn = now
        lines = [*self._recognised, self._plan, *self._last, *doing]
        shown = Shown(lines, self._done, self._total)
        if self._handle is None:
            self._handle = self._display(shown)
        else:
            self._handle.update(shown)


def notebook_display() -> Callable[[Any], Handle] | None:
    """Return how to show something in the notebook that this runs in; ``None`` outside of one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None:
        return None
    display = importlib.import_module("IPython.display").display

    def show(shown: Any) -> Handle:
        handle: Handle = display(shown, display_id=True)
        return handle

    return show
