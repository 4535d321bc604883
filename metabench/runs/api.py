"""The command line's verbs as Python functions."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd
from pydantic import ValidationError

from metabench.errors import UsageError
from metabench.leaderboard.row import COLUMNS
from metabench.runs.request import RunRequest
from metabench.runs.run import run
from metabench.runs.suite import first_error
from metabench.runs.watcher import Watcher


class _Warner(Watcher):
    """Passes on what the user should know as Python warnings."""

    def message(self, text: str) -> None:
        warnings.warn(text, stacklevel=2)


def run_to_frame(request: Mapping[str, Any]) -> pd.DataFrame:
    """Carry out a request and return its table.

    Args:
        request: The fields of `RunRequest`. ``data`` is taken from ``METABENCH_DATA`` if it is not
            given.

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
    rows = run(checked, _Warner()).written.tables.rows
    return pd.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS))
