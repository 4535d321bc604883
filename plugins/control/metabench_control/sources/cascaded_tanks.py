"""``cascaded-tanks``: the level of a real tank, one sample ahead.

Schoukens et al., "Cascaded tanks benchmark combining soft and hard nonlinearities", Workshop on
Nonlinear System Identification Benchmarks, 2016: a pump feeds the upper of two tanks, which runs
into the lower one; both may overflow. 1,024 samples for estimation and 1,024 for validation, one
in 4 s.

An example predicts the rise of the level, ``y(t) - y(t-1)``, from ``u(t-1), u(t-2), y(t-1), y(t-2)
, y(t-3)``: one-step-ahead, the easy use of the benchmark, which is scored by simulation elsewhere.
A task is a window of consecutive samples. There is one plant, so tasks differ by the regime that it
is in, and not by the plant: what carries over is a good model. Meta-train and meta-val are the
first and the last part of the estimation record, meta-test is the validation record. Meta-train
windows overlap; those of the other splits do not.

The level at one time is in the inputs of the next times. So runs of `RUN` samples are groups, and
the first `LAGS` of each are left out: with ``group_disjoint`` no answer of a query is an input of
the support.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from metabench.errors import UsageError
from metabench.tasks.data import Task, TaskData, TaskPool
from metabench.tasks.files import SourceContext
from metabench_control.files import CASCADED_TANKS
from metabench_control.reading import broken, csv_columns, read
from metabench_control.scaling import Scaling

Floats = npt.NDArray[np.float64]

SAMPLES = 1024
LAGS = 3
RUN = 12
TRAIN_SHARE = 0.75
_COLUMNS = ("uEst", "yEst", "uVal", "yVal")


def cascaded_tanks(context: SourceContext, *, window: int = 60, stride: int = 15) -> TaskData:
    """Cut both records into windows.

    Args:
        context: Where the upstream file is.
        window: Samples of a task, of which `RUN` - `LAGS` in `RUN` are examples.
        stride: Samples between the starts of two meta-train windows.

    Returns:
        Inputs ``x`` ``[n, 5]``; one output. Both are scaled by mean and standard deviation over the
        meta-train part.

    Raises:
        UnavailableError: If the file is missing, damaged, or not 1,024 samples long.
        UsageError: If a split has no room for a window.
    """
    file = read(context, CASCADED_TANKS)
    table = csv_columns(file, _COLUMNS)
    if len(table) != SAMPLES:
        raise broken(file.path, f"line {len(table) + 1}", f"{len(table)} samples, not {SAMPLES}")
    estimation, validation = lagged(*table[:, :2].T), lagged(*table[:, 2:].T)
    each = len(estimation[0])
    border = int(TRAIN_SHARE * each)
    spans = {
        "train": (0, border, stride),
        "val": (border + LAGS, each, window),
        "test": (each, 2 * each, window),
    }
    inputs = np.concatenate([estimation[0], validation[0]])
    rises = np.concatenate([estimation[1], validation[1]])[:, None]
    x = Scaling.fitted(inputs[:border])(inputs)
    y = Scaling.fitted(rises[:border])(rises)[:, 0]
    splits: dict[str, TaskPool] = {}
    position = np.tile(np.arange(each), 2)
    runs = position // RUN + np.repeat((0, each), each)
    kept = np.flatnonzero(position % RUN >= LAGS)
    for split, (first, last, step) in spans.items():
        starts = range(first, last - window + 1, max(step, 1)) if window > 1 else range(0)
        if not starts or step < 1:
            raise UsageError(
                f"{context.source}: window={window}, stride={stride} leave no task in the "
                f"{last - first} samples of {split}"
            )
        splits[split] = TaskPool(
            tuple(
                Task(f"{split}-from-{start - first}", items, y[items])
                for start in starts
                for items in [kept[(kept >= start) & (kept < start + window)]]
            )
        )
    inputs = {"x": torch.from_numpy(x)}
    return TaskData("vector", inputs, splits, groups=runs, notes=file.notes)


def lagged(u: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Turn a record into examples.

    Args:
        u: ``[n]`` pump signal, in V.
        y: ``[n]`` level, in V.

    Returns:
        ``[n-3, 5]`` inputs and the ``[n-3]`` rises that follow.
    """
    now = np.arange(LAGS, len(u))
    columns = (u[now - 1], u[now - 2], y[now - 1], y[now - 2], y[now - 3])
    return np.stack(columns, axis=1), y[now] - y[now - 1]
