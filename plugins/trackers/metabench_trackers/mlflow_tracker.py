"""A benchmark run in MLflow."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import metabench
from metabench_trackers.naming import metric_name

if TYPE_CHECKING:
    from metabench.runs.record import Record

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""Settings unless the user has others: with MLflow's own an absent server is tried for minutes."""
EXPERIMENT_VARIABLE = "METABENCH_MLFLOW_EXPERIMENT"
EXPERIMENT = "metabench"
BAD = ("failed", "timeout", "killed")


class MlflowTracker:
    """One run in the experiment ``metabench``, or the one of ``METABENCH_MLFLOW_EXPERIMENT``.

    It talks to its own client: the active run and the tracking URI of a program that calls
    metabench are left alone.

    Args:
        uri: The tracking URI: a server, a database, or a folder.
    """

    def __init__(self, uri: str) -> None:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient  # noqa: PLC0415 - it reads settings while it is imported

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        if urlsplit(uri).scheme in {"", "file"}:  # MLflow wants to hear twice that it is meant
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        self._client = MlflowClient(tracking_uri=uri)
        self._run = ""

    def start(self, cells: int, store: str) -> None:
        """Create the run."""
        tags = {"metabench.version": metabench.__version__, "metabench.store": store}
        name = f"metabench {time.strftime('%Y-%m-%d %H:%M:%S')}"
        run = self._client.create_run(self._experiment(), tags=tags, run_name=name)
        self._run = run.info.run_id
        self._client.log_param(self._run, "cells", cells)

    def cell(self, record: Record) -> None:
        """Log the mean; of a cell without one, why."""
        name = metric_name(record)
        if record.mean is not None:
            self._client.log_metric(self._run, name, record.mean)
        else:
            reason = record.failure.reason if record.failure else ""
            self._client.set_tag(self._run, name, f"{record.status}: {reason}")

    def finish(self, tables: tuple[str, ...], statuses: Counter[str]) -> None:
        """Log the tables, and end as FAILED if a cell went wrong."""
        for status, number in sorted(statuses.items()):
            self._client.log_metric(self._run, f"cells/{status}", number)
        for path in tables:
            self._client.log_artifact(self._run, path, "tables")
        bad = any(statuses[status] for status in BAD)
        self._client.set_terminated(self._run, "FAILED" if bad else "FINISHED")

    def abort(self) -> None:
        """End as KILLED."""
        if self._run:
            self._client.set_terminated(self._run, "KILLED")

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - as above

        name = os.environ.get(EXPERIMENT_VARIABLE) or EXPERIMENT
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name))
            except MlflowException:  # another run has just made it
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)
