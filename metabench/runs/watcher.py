"""What can be seen of a run as it goes."""

from __future__ import annotations

from collections.abc import Sequence

from metabench.runs.jobs import Progress
from metabench.runs.record import Record


class Watcher:
    """Sees a run as it goes; every method may be left as it is."""

    def recognised(self, lines: Sequence[str]) -> None:
        """What was found in own data, decided about them or left out."""

    def preparing(self, labels: Sequence[str]) -> None:
        """Sources are about to be loaded, or embedded, for the first time."""

    def planned(self, total: int, found: int, to_run: int, seconds: float) -> None:
        """The plan stands: all cells, those answered before, the open ones, their seconds."""

    def tick(self, active: Sequence[Progress], left: float | None) -> None:
        """Happens a few times a second, with what the workers do and the seconds left."""

    def finished(self, record: Record, done: int, total: int) -> None:
        """One open cell has ended."""

    def message(self, text: str) -> None:
        """Something that the user should know, in one line."""
