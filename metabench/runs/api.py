"""``metabench.run``: a run as a Python function, with a display where somebody looks on."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any

import pandas as pd
from pydantic import ValidationError

from metabench.errors import UsageError
from metabench.leaderboard.row import COLUMNS
from metabench.runs.display import ConsoleWatcher
from metabench.runs.notebook import NotebookWatcher, notebook_display
from metabench.runs.request import RunRequest
from metabench.runs.run import run
from metabench.runs.suite import first_error
from metabench.runs.watcher import Watcher


class Warner(Watcher):
    """Passes on what the user should know as Python warnings."""

    def message(self, text: str) -> None:
        """Warn."""
        warnings.warn(text, stacklevel=2)


class _Console(Warner, ConsoleWatcher):
    """Bars on a terminal, plain lines elsewhere."""


class _Notebook(Warner, NotebookWatcher):
    """One output that is redrawn."""


def run_to_frame(request: Mapping[str, Any], *, progress: bool = True) -> pd.DataFrame:
    """Carry out a request and return its table.

    Args:
        request: The fields of `RunRequest`. ``data`` is taken from ``METABENCH_DATA`` if it is not
            given.
        progress: Whether to show how far the run is: in a notebook's output, as bars on a terminal,
            as lines on stderr elsewhere.

    Returns:
        One row per table row, with the columns of the CSV.

    Raises:
        UsageError: If a field is unknown or out of range.
    """
    try:
        checked = RunRequest(**{"data": os.environ.get("METABENCH_DATA") or None, **request})
    except ValidationError as error:
        fault = first_error(error, RunRequest.model_fields)
        raise UsageError(f"metabench.run: {fault}") from error
    watcher, shown = _watcher(progress=progress)
    with shown:
        rows = run(checked, watcher).written.tables.rows
    return pd.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS))


def _watcher(*, progress: bool) -> tuple[Watcher, AbstractContextManager[object]]:
    """Choose a display, and what must be entered for it to show."""
    if not progress:
        return Warner(), nullcontext()
    display = notebook_display()
    if display is not None:
        return _Notebook(display), nullcontext()
    console = _Console()
    return console, console
