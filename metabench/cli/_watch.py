"""What the commands show of a run as it goes."""

from __future__ import annotations

from metabench.runs.display import ConsoleWatcher, counted, duration

__all__ = ["ConsoleWatcher", "counted", "duration"]
