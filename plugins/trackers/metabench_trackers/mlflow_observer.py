"""MLflow, switched on by ``METABENCH_MLFLOW``; without it nothing is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metabench.hookspecs import hookimpl
from metabench_trackers.observing import Observer

if TYPE_CHECKING:
    from metabench.runs.record import Record

OBSERVER = Observer("METABENCH_MLFLOW", "mlflow", "metabench_trackers.mlflow_tracker:MlflowTracker")


@hookimpl
def metabench_run_started(cells: int, store: str) -> None:
    """Begin a run in MLflow."""
    OBSERVER.started(cells, store)


@hookimpl
def metabench_cell_finished(record: Record) -> None:
    """Log a cell."""
    OBSERVER.finished_cell(record)


@hookimpl
def metabench_run_finished(tables: tuple[str, ...]) -> None:
    """Log the tables and end the run."""
    OBSERVER.finished(tables)
