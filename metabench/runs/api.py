"""The command line's verbs as Python functions."""

from __future__ import annotations

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


def run_to_frame(request: Mapping[str, Any]) -> pd.DataFrame:
    """Carry out a request and return its table.

    Args:
        request: The fields of `RunRequest`.

    Returns:
        One row per table row, with the columns of the CSV.

    Raises:
        UsageError: If a field is unknown or out of range.
    """
    try:
        checked = RunRequest(**request)
    except ValidationError as error:
        raise UsageError(f"metabench.run: {first_error(error)}") from error
    rows = run(checked).written.tables.rows
    return pd.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS))
