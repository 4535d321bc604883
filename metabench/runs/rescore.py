"""Per-episode scores computed again from the predictions that a record holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from metabench.registry.targets import resolve_target
from metabench.runs.record import Record

_METRICS = "metabench.learners.metrics"
FROM_ANSWERS = {
    "accuracy": f"{_METRICS}:accuracy",
    "auroc": f"{_METRICS}:auroc",
    "average-precision": f"{_METRICS}:average_precision",
    "delta-auprc": f"{_METRICS}:delta_auprc",
    "mse": f"{_METRICS}:mse",
    "r2": f"{_METRICS}:r2",
}
"""Metrics that need nothing but answers and targets; the others also need what a source holds."""


def scores_from_predictions(
    record: Record, arrays: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[np.float64]]:
    """Score a record's predictions.

    Args:
        record: An ``ok`` record.
        arrays: What lies beside it.

    Returns:
        ``scores`` and ``other.<metric>``, as far as predictions and targets are enough for them;
        nothing where a record keeps no predictions.
    """
    if "predictions" not in arrays or "targets" not in arrays or "offsets" not in arrays:
        return {}
    names = {"scores": record.cell.metric}
    names |= {name: name.removeprefix("other.") for name in arrays if name.startswith("other.")}
    wanted = {array: name for array, name in names.items() if name in FROM_ANSWERS}
    if record.cell.task_kind == "classification":
        return {a: _credits(arrays) for a, name in wanted.items() if name == "accuracy"}
    return {
        array: _scored(FROM_ANSWERS[name], arrays, binary=record.cell.task_kind == "binary")
        for array, name in wanted.items()
    }


def _credits(arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Mean credit of each episode: what a class that ties for the best is worth is kept in it."""
    credit, offsets = arrays["credit"].astype(np.float64), arrays["offsets"].astype(np.int64)
    # Full credit is for the right class alone, and the right class never goes without.
    right = arrays["predictions"] == arrays["targets"]
    if ((credit >= 1) & ~right).any() or ((credit <= 0) & right).any():
        raise ValueError("its credit does not follow from its predictions and targets")
    return np.add.reduceat(credit, offsets[:-1]) / np.diff(offsets)


def _scored(
    target: str, arrays: Mapping[str, npt.NDArray[Any]], *, binary: bool
) -> npt.NDArray[np.float64]:
    """Score every episode, those of equal length together."""
    import torch  # noqa: PLC0415 - classification, the most usual, needs none

    from metabench.learners.metrics import Answered  # noqa: PLC0415 - imports torch

    metric = resolve_target(target)
    offsets, targets = arrays["offsets"].astype(np.int64), arrays["targets"]
    if targets.dtype.kind == "i":  # records keep them in the smallest type
        targets = targets.astype(np.int64)
    lengths = np.diff(offsets)
    scores = np.full(len(lengths), np.nan)
    for length in np.unique(lengths).tolist():
        episodes = np.flatnonzero(lengths == length)
        queries = offsets[episodes][:, None] + np.arange(length)
        answers = torch.as_tensor(arrays["predictions"][queries])
        if binary:  # a margin stands for the scores of both classes
            answers = torch.stack([torch.zeros_like(answers), answers], dim=-1)
        answered = Answered(
            scores=answers,
            targets=torch.as_tensor(targets[queries]),
            support_targets=torch.empty(len(episodes), 0),
        )
        scores[episodes] = metric(answered).double().numpy()
    return scores
