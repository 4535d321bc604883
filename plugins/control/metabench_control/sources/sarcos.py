"""``sarcos-joints``: inverse dynamics of a real robot arm, one joint at a time.

Vijayakumar & Schaal, "Locally weighted projection regression", ICML 2000; Rasmussen & Williams,
"Gaussian processes for machine learning", 2006, section 2.5. From 7 positions, 7 velocities and 7
accelerations of the joints follows the torque of one joint.

The rows are upstream's *test* file, because its training file is not at hand; upstream's test rows
largely repeat its training rows, so the two could not be a split anyway. The split is ours: joints
1-4 are meta-train, 5 meta-val, 6 and 7 meta-test, and so are the first, middle and last rows, with
`GAP` rows left out between. A task is a joint in `rows` consecutive rows.

Inputs, and each joint's torque, are scaled by mean and standard deviation over the meta-train rows.
For a meta-test joint these constants are its unit, as a rated torque would be; no meta-test row
goes into them.
"""

from __future__ import annotations

import numpy as np
import torch

from metabench.errors import UsageError
from metabench.tasks.data import Task, TaskData, TaskPool
from metabench.tasks.files import SourceContext
from metabench_control.files import SARCOS
from metabench_control.reading import broken, mat_matrix, read
from metabench_control.scaling import Scaling

INPUTS = 21
JOINTS = 7
JOINTS_OF = {"train": (1, 2, 3, 4), "val": (5,), "test": (6, 7)}
SHARES = {"train": (0.0, 0.6), "val": (0.6, 0.7), "test": (0.7, 1.0)}
GAP = 20
ROWS = 4449


def sarcos_joints(context: SourceContext, *, rows: int = 100) -> TaskData:
    """Cut the rows into tasks.

    Args:
        context: Where the upstream file is.
        rows: Rows of a task.

    Returns:
        Inputs ``x`` ``[n, 21]``; one output.

    Raises:
        UnavailableError: If the file is missing or not the 4,449 rows.
        UsageError: If no task of so many rows fits into a split.
    """
    file = read(context, SARCOS)
    table = mat_matrix(file, "sarcos_inv_test", INPUTS + JOINTS)
    if len(table) != ROWS:
        raise broken(file.path, "variable 'sarcos_inv_test'", f"{len(table)} rows, not {ROWS}")
    starts = {split: _starts(context, split, rows) for split in SHARES}
    last = starts["train"][-1] + rows
    x = Scaling.fitted(table[:last, :INPUTS])(table[:, :INPUTS])
    torques = Scaling.fitted(table[:last, INPUTS:])(table[:, INPUTS:])
    splits = {
        split: TaskPool(
            tuple(
                Task(
                    name=f"joint-{joint}-rows-{start}",
                    items=start + np.arange(rows),
                    targets=torques[start : start + rows, joint - 1].copy(),
                )
                for joint in joints
                for start in starts[split]
            )
        )
        for split, joints in JOINTS_OF.items()
    }
    return TaskData(
        modality="vector", inputs={"x": torch.from_numpy(x)}, splits=splits, notes=file.notes
    )


def _starts(context: SourceContext, split: str, rows: int) -> list[int]:
    first, last = (round(share * ROWS) for share in SHARES[split])
    if split != "train":
        first += GAP
    starts = list(range(first, last - rows + 1, rows)) if rows > 1 else []
    if not starts:
        raise UsageError(
            f"{context.source}: rows={rows} leaves no task in the {last - first} rows of {split}"
        )
    return starts
