"""One row of a domain's table: the published columns, in the published order."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from metabench.leaderboard.statistics import mean_over_seeds
from metabench.leaderboard.text import REASON_LENGTH, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from metabench.leaderboard.evidence import Evidence
    from metabench.runs.record import Status


@dataclass(frozen=True, slots=True)
class Row:
    """One learner on one source under one protocol. ``None`` is an empty cell.

    The fields are the columns of the CSV, in order; a new one goes last.

    Attributes:
        domain: The source's domain.
        source: The source's name.
        task_kind: What is predicted.
        way: Classes per test episode.
        shot: Examples per class; in task pools the support size.
        encoder: The encoder, with its argument.
        algorithm: The algorithm.
        metric: What ``mean`` and the interval are of, in its own unit.
        mean: Mean over seeds of the mean over defined episodes.
        ci95_low: Lower end of the 95 % interval.
        ci95_high: Upper end.
        ci_over: What the interval lets vary: ``episodes``, ``tasks``, or ``seeds`` with either.
        normalized: (mean - chance) / (best possible - chance).
        rank_low: One more than the number of significantly better rows.
        rank_high: Number of rows that are not significantly worse.
        chance: The metric's value for an uninformed learner.
        episodes: Defined test episodes, over all seeds.
        seeds: Number of seeds.
        status: ``ok`` only if every seed is.
        train_seconds: Mean over seeds of the time in meta-training.
        adapt_ms_per_task: Mean over seeds of adaptation and prediction per task.
        peak_memory_mb: Largest over seeds.
        parameters: Largest over seeds.
        inductive: Whether each query is predicted from the support alone.
        plugin: The distribution that provides the algorithm.
        plugin_version: Its version; several, joined by `` + ``, if the seeds differ.
        protocol: The protocol's name.
        protocol_digest: SHA-256 of what the protocol fixes.
        episodes_digest: Equal digest, equal test episodes.
        reason: Why there is no number, or what an audit found against ``inductive``.
        other_metrics: Further metrics and the metric on subsets of the tasks, means over seeds, as
            ``auroc=0.7312; nmse (inside)=0.4188``.
    """

    domain: str
    source: str
    task_kind: str
    way: str
    shot: str
    encoder: str
    algorithm: str
    metric: str
    mean: float | None
    ci95_low: float | None
    ci95_high: float | None
    ci_over: str | None
    normalized: float | None
    rank_low: int | None
    rank_high: int | None
    chance: float
    episodes: int | None
    seeds: int
    status: Status
    train_seconds: float | None
    adapt_ms_per_task: float | None
    peak_memory_mb: float | None
    parameters: int | None
    inductive: bool
    plugin: str
    plugin_version: str
    protocol: str
    protocol_digest: str
    episodes_digest: str
    reason: str
    other_metrics: str

    def ranked(self, low: int, high: int) -> Row:
        """Return a copy with its rank interval."""
        return replace(self, rank_low=low, rank_high=high)


COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Row))


def normalize(value: float, chance: float, best: float) -> float | None:
    """Map chance to 0 and the best possible value to 1; ``None`` if they are the same."""
    if best == chance:
        return None
    scaled = (value - chance) / (best - chance)
    return scaled if math.isfinite(scaled) else None


def row_of(evidence: Evidence, interval: tuple[float, float] | None) -> Row:
    """Reduce the evidence for one learner to its row, not yet ranked."""
    cell = evidence.cell
    mean = None if evidence.scores is None else mean_over_seeds(evidence.scores)
    within = evidence.unit
    over = within if len(evidence.seeds) == 1 else f"seeds,{within}"
    costs = [record.cost for record in evidence.records]
    cells = [record.cell for record in evidence.records]
    return Row(
        domain=one_line(cell.domain),
        source=one_line(cell.source),
        task_kind=one_line(cell.task_kind),
        way=one_line(cell.way),
        shot=one_line(cell.shot),
        encoder=one_line(cell.encoder),
        algorithm=one_line(cell.algorithm),
        metric=one_line(cell.metric),
        mean=mean,
        ci95_low=interval[0] if interval else None,
        ci95_high=interval[1] if interval else None,
        ci_over=over if interval else None,
        normalized=None if mean is None else normalize(mean, evidence.chance, evidence.best),
        rank_low=None,
        rank_high=None,
        chance=evidence.chance,
        episodes=None if mean is None else evidence.defined,
        seeds=len(evidence.seeds),
        status=evidence.status,
        train_seconds=_mean([cost.train_seconds for cost in costs]),
        adapt_ms_per_task=_mean([cost.adapt_ms_per_task for cost in costs]),
        peak_memory_mb=max(_known([cost.peak_memory_mb for cost in costs]), default=None),
        parameters=max((n for c in costs if (n := c.parameters) is not None), default=None),
        inductive=all(c.inductive for c in cells),
        plugin=joined(c.plugin for c in cells),
        plugin_version=joined(c.plugin_version for c in cells),
        protocol=one_line(evidence.protocol),
        protocol_digest=one_line(cell.protocol_digest),
        episodes_digest=one_line(evidence.episodes_digest),
        reason=one_line(evidence.reason, REASON_LENGTH),
        other_metrics=_others(evidence) if mean is not None else "",
    )


def _others(evidence: Evidence) -> str:
    """Write down the mean over seeds of each further metric that every seed has."""
    found = [record.other_metrics for record in evidence.records]
    means = {name: [others.get(name) for others in found] for name in found[0]}
    shown = {name: _mean(values) for name, values in means.items()}
    pairs = [f"{name}={value:.4f}" for name, value in shown.items() if value is not None]
    return one_line("; ".join(pairs))


def _mean(values: list[float | None]) -> float | None:
    known = _known(values)
    return float(np.mean(known)) if len(known) == len(values) else None


def _known(values: list[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def joined(values: Iterable[str]) -> str:
    """Name each value once, in order."""
    return " + ".join(sorted({one_line(value) for value in values}))
