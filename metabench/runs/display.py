"""Live progress of a run: bars on a terminal, plain lines elsewhere; all on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from metabench.runs.jobs import Progress
from metabench.runs.record import Record
from metabench.runs.watcher import Watcher

MINUTE, HOUR = 60, 3600
PLAIN_SECONDS = 10.0
"""Time between two lines about running cells where there is no terminal."""


def duration(seconds: float) -> str:
    """Return ``42 s``, ``3 min 05 s`` or ``2 h 10 min``."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE:02d} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE:02d} min"


def counted(number: int, noun: str) -> str:
    """Return ``1 cell`` or ``2 cells``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class ConsoleWatcher(Watcher):
    """Shows a run on stderr.

    Args:
        quiet: Whether to show nothing but messages.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.done = 0
        self._quiet = quiet
        self._console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._live: Live | None = None
        self._total = 0
        self._spoken = time.monotonic()
        if self._console.is_terminal and not quiet:
            self._live = Live(console=self._console, transient=True, refresh_per_second=5)

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Clear the bars."""
        if self._live is not None:
            self._live.stop()

    def message(self, text: str) -> None:
        """Print a warning."""
        self._print(f"metabench: warning: {text}")

    def recognised(self, lines: Sequence[str]) -> None:
        """Say what own data were taken for."""
        for line in () if self._quiet else lines:
            self._print(line)

    def preparing(self, labels: Sequence[str]) -> None:
        """Name the sources and embeddings that are made for the first time."""
        if not self._quiet:
            self._print("first of all: " + ", ".join(labels))

    def planned(self, total: int, found: int, to_run: int, seconds: float) -> None:
        """Say how much there is to do."""
        self._total = to_run
        if not self._quiet:
            self._print(plan_text(total, found, to_run, seconds))
        if self._live is not None:
            self._live.update(self._bars((), None))

    def finished(self, record: Record, done: int, total: int) -> None:
        """Print one line for a finished cell."""
        self.done = done
        if self._quiet:
            return
        self._print(f"[{done}/{total}] {record.cell.label}  {outcome_text(record)}")

    def tick(self, active: Sequence[Progress], left: float | None) -> None:
        """Redraw the bars, or now and then print a line where there is no terminal."""
        if self._live is not None:
            self._live.update(self._bars(active, left))
            return
        now = time.monotonic()
        if self._quiet or now - self._spoken < PLAIN_SECONDS:
            return
        self._spoken = now
        doing = "; ".join(f"{a.label} {a.stage} {share_text(a)}".rstrip() for a in active)
        self._print(f"  ... {doing}{left_text(left)}")

    def _bars(self, active: Sequence[Progress], left: float | None) -> Group:
        grid = Table.grid(padding=(0, 1))
        for each in active:
            bar = ProgressBar(total=max(each.total, 1), completed=each.done, width=24)
            grid.add_row(
                Text(each.stage.rjust(6)), bar, Text(share_text(each).rjust(4)), each.label
            )
        parts: list[Any] = [grid]
        if self._total:
            overall = Table.grid(padding=(0, 1))
            bar = ProgressBar(total=self._total, completed=self.done, width=24)
            overall.add_row(
                Text("   all"), bar, Text(f"{self.done}/{self._total} cells{left_text(left)}")
            )
            parts.append(overall)
        return Group(*parts)

    def _print(self, text: str) -> None:
        if self._live is not None:
            self._console.print(Text(text), soft_wrap=True)
        else:
            sys.stderr.write(f"{text}\n")


def plan_text(total: int, found: int, to_run: int, seconds: float) -> str:
    """Return how many cells there are, how many are open, and how long they will take."""
    rest = total - found - to_run
    parts = [f"{found} found in the store", f"{to_run} to run"]
    parts += [f"{rest} cannot be run"] * bool(rest)
    parts += [f"about {duration(seconds)} of work"] * bool(to_run)
    return f"{counted(total, 'cell')}: {', '.join(parts)}"


def outcome_text(record: Record) -> str:
    """Return a cell's score, or why it has none."""
    if record.status == "ok" and record.mean is not None:
        return f"{record.cell.metric} {record.mean:.4f}"
    return f"{record.status}: {record.failure.reason if record.failure else ''}"


def left_text(seconds: float | None) -> str:
    """Return the time left, to be put behind something; empty if it is not known."""
    return "" if seconds is None else f", about {duration(seconds)} left"


def share_text(progress: Progress) -> str:
    """Return how far a job is, in percent."""
    return f"{100 * progress.done // progress.total}%" if progress.total else ""
