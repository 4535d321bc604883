"""A benchmark run in Weights & Biases."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import wandb

import metabench
from metabench_trackers.naming import metric_name

if TYPE_CHECKING:
    from metabench.runs.record import Record

BAD = ("failed", "timeout", "killed")
LOCAL = ("offline", "disabled", "dryrun")
LOGIN_SECONDS = 5


class WandbTracker:
    """One run in a project; wandb's own variables (``WANDB_MODE``, ...) hold.

    Args:
        project: ``project`` or ``entity/project``.
    """

    def __init__(self, project: str) -> None:
        self._entity, _, self._project = project.rpartition("/")
        self._run: Any = None
        self._finished = 0

    def start(self, cells: int, store: str) -> None:
        """Create the run; its files lie in the store unless ``WANDB_DIR`` says otherwise.

        Raises:
            RuntimeError: If nobody is logged in.
        """
        local = os.environ.get("WANDB_MODE", "").lower() in LOCAL
        if not local and not wandb.login(timeout=LOGIN_SECONDS):
            raise RuntimeError("nobody is logged in; set WANDB_API_KEY, or WANDB_MODE=offline")
        self._run = wandb.init(
            project=self._project,
            entity=self._entity or None,
            dir=os.environ.get("WANDB_DIR") or store,
            job_type="benchmark",
            config={"cells": cells, "store": store, "metabench": metabench.__version__},
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", save_code=False, disable_git=True),
        )

    def cell(self, record: Record) -> None:
        """Log the mean and how far the run is; of a cell without a mean, why."""
        self._finished += 1
        name = metric_name(record)
        values: dict[str, Any] = {"cells/finished": self._finished}
        if record.mean is not None:
            values[name] = record.mean
        else:
            reason = record.failure.reason if record.failure else ""
            self._run.summary[name] = f"{record.status}: {reason}"
        self._run.log(values)

    def finish(self, tables: tuple[str, ...], statuses: Counter[str]) -> None:
        """Log the tables, and end as failed if a cell went wrong."""
        for status, number in statuses.items():
            self._run.summary[f"cells/{status}"] = number
        if tables:
            artifact = wandb.Artifact("tables", type="leaderboard")
            for path in tables:
                artifact.add_file(path)
            self._run.log_artifact(artifact)
        self._run.finish(exit_code=1 if any(statuses[status] for status in BAD) else 0)

    def abort(self) -> None:
        """End as failed."""
        if self._run is not None:
            self._run.finish(exit_code=255)
