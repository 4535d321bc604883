"""Records brought together: one piece of evidence per row, made of the seeds of one learner."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metabench.leaderboard.statistics import FloatArray, usable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from metabench.runs.record import Cell, Record, Status

SEVERITY: tuple[Status, ...] = (
    "failed",
    "killed",
    "timeout",
    "unavailable",
    "inapplicable",
    "ok",
)
"""A row of several seeds has the first status that one of its seeds has."""

NOT_COUNTED: frozenset[Status] = frozenset({"inapplicable", "unavailable"})
"""Cells that nobody can be blamed for: left out of the coverage."""


@dataclass(frozen=True, eq=False)
class Scored:
    """A record with the per-episode scores that lie beside it.

    Attributes:
        record: The cell's record.
        scores: ``[episodes]`` float64, NaN where the metric is undefined; ``None`` if not ``ok``.
        units: ``[episodes]`` number of the task that each episode was drawn from, where several
            draws share a task; they are then averaged per task before anything else. ``None`` if
            each episode stands for itself.
    """

    record: Record
    scores: FloatArray | None = None
    units: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, eq=False)
class Evidence:
    """What one row rests on.

    Attributes:
        seeds: One scored record per seed, in order of seed.
        protocol: The protocol's name in this table.
        status: That of the whole row.
        reason: Why there is no number, if there is none.
        scores: ``[seeds, units]``, NaN for undefined; ``None`` if the row gets no number.
        lengths: Number of units of each seed.
        defined: Number of episodes on which the metric is defined.
    """

    seeds: tuple[Scored, ...]
    protocol: str
    status: Status
    reason: str
    scores: FloatArray | None
    lengths: tuple[int, ...]
    defined: int

    @property
    def records(self) -> tuple[Record, ...]:
        """The records, in order of seed."""
        return tuple(scored.record for scored in self.seeds)

    @property
    def cell(self) -> Cell:
        """The first seed's cell."""
        return self.seeds[0].record.cell

    @property
    def chance(self) -> float:
        """The metric's value for an uninformed learner, over the seeds."""
        return _common([record.cell.chance for record in self.records])

    @property
    def best(self) -> float:
        """The metric's best value, over the seeds."""
        return _common([record.cell.best for record in self.records])

    @property
    def higher_is_better(self) -> bool:
        """The metric's direction: which side of chance the best value lies on."""
        return self.best >= self.chance

    @property
    def unit(self) -> str:
        """What varies within a seed: ``episodes`` or ``tasks``."""
        record = self.seeds[0].record
        told = {record.training.get("unit"), record.key_parts.get("unit")}
        tasks = "tasks" in told or self.seeds[0].units is not None
        return "tasks" if tasks else "episodes"

    @property
    def episodes_digest(self) -> str:
        """Digest of the per-seed digests in order of seed; empty unless every seed has one."""
        digests = [record.episodes_digest for record in self.records]
        if not all(digests):
            return ""
        if len(digests) == 1:
            return digests[0]
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    @property
    def cells(self) -> tuple[int, int]:
        """Number of cells with a number, and of cells that count as applicable."""
        ok = sum(not _trouble(scored) for scored in self.seeds)
        return ok, sum(record.status not in NOT_COUNTED for record in self.records)


def gather(scored: Iterable[Scored]) -> tuple[list[Evidence], list[str]]:
    """Bring the seeds of each learner together.

    Args:
        scored: Records in any order; several of one cell may be among them.

    Returns:
        One piece of evidence per (domain, source, protocol digest, encoder, algorithm), and what a
        reader must know about them.
    """
    cells: dict[tuple[str, ...], dict[int, list[Scored]]] = defaultdict(lambda: defaultdict(list))
    names: dict[tuple[str, str, str], str] = {}
    for one in scored:
        cell = one.record.cell
        place = (cell.domain, cell.source, cell.protocol_digest)
        cells[*place, cell.encoder, cell.algorithm][cell.seed].append(one)
        names[place] = min(cell.protocol, names.get(place, cell.protocol))
    messages: list[str] = []
    found: list[Evidence] = []
    for key in sorted(cells):
        chosen: list[Scored] = []
        for _, candidates in sorted(cells[key].items()):
            best = max(candidates, key=_preference) if len(candidates) > 1 else candidates[0]
            chosen.append(best)
            keys = {candidate.record.key for candidate in candidates}
            if len(keys) > 1:
                messages.append(
                    f"{best.record.cell.label}: {len(keys)} records with different cell keys; "
                    f"used {best.record.key[:12]} ({best.record.status})"
                )
        found.append(_evidence(tuple(chosen), names[key[0], key[1], key[2]]))
        messages.extend(_mixed_versions(found[-1]))
    return found, messages


def _evidence(seeds: tuple[Scored, ...], protocol: str) -> Evidence:
    outcomes = [_outcome(scored) for scored in seeds]
    status = min((status for status, _ in outcomes), key=SEVERITY.index)
    reasons: dict[str, list[int]] = defaultdict(list)
    for scored, (outcome, reason) in zip(seeds, outcomes, strict=True):
        if reason:
            marked = reason if outcome == status else f"{outcome}: {reason}"
            reasons[marked].append(scored.record.cell.seed)
    parts: list[FloatArray] = []
    defined = 0
    if not reasons:
        parts = [_per_unit(scored) for scored in seeds]
        defined = sum(int((~np.isnan(_flat(scored))).sum()) for scored in seeds)
    return Evidence(
        seeds=seeds,
        protocol=protocol,
        status=status,
        reason=_name_seeds(reasons, len(seeds)),
        scores=_stack(parts) if parts else None,
        lengths=tuple(len(part) for part in parts),
        defined=defined,
    )


def _outcome(scored: Scored) -> tuple[Status, str]:
    """How a cell ended, and why it has no number; the reason is empty if it has one."""
    record = scored.record
    if record.status != "ok":
        return record.status, record.failure.reason if record.failure else "no reason recorded"
    if scored.scores is None:
        return "failed", "the record is ok but its per-episode scores are missing"
    return "ok", _trouble(scored)


def _trouble(scored: Scored) -> str:
    if scored.record.status != "ok" or scored.scores is None:
        return "no scores"
    scores = _flat(scored)
    if not usable(scores):
        return f"{scored.record.cell.metric} is infinite on some episodes"
    if np.isnan(scores).all():
        return f"{scored.record.cell.metric} is undefined on all {scores.size} episodes"
    return ""


def _flat(scored: Scored) -> FloatArray:
    return np.asarray(scored.scores, dtype=np.float64).ravel()


def _per_unit(scored: Scored) -> FloatArray:
    scores = _flat(scored)
    if scored.units is None:
        return scores
    units, index = np.unique(np.asarray(scored.units).ravel(), return_inverse=True)
    defined = ~np.isnan(scores)
    total = np.bincount(index, weights=np.where(defined, scores, 0.0), minlength=units.size)
    number = np.bincount(index, weights=defined.astype(np.float64), minlength=units.size)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _stack(parts: Sequence[FloatArray]) -> FloatArray:
    stack = np.full((len(parts), max(len(part) for part in parts)), np.nan)
    for row, part in zip(stack, parts, strict=True):
        row[: len(part)] = part
    return stack


def _name_seeds(reasons: dict[str, list[int]], seeds: int) -> str:
    if seeds == 1:
        return next(iter(reasons), "")
    return "; ".join(
        f"seed{'s' if len(of) > 1 else ''} {', '.join(map(str, of))}: {reason}"
        for reason, of in reasons.items()
    )


def _mixed_versions(evidence: Evidence) -> list[str]:
    cells = [record.cell for record in evidence.records]
    versions = sorted({f"{cell.plugin} {cell.plugin_version}" for cell in cells})
    if len(versions) == 1:
        return []
    label = evidence.cell.label.rsplit("/", 1)[0]
    return [f"{label}: its seeds come from different versions: {', '.join(versions)}"]


def _preference(scored: Scored) -> tuple[bool, float, str, str, str, bytes]:
    record = scored.record
    scores = b"" if scored.scores is None else _flat(scored).tobytes()
    finished = _timestamp(record.provenance.get("finished"))
    return (
        not _trouble(scored),
        finished,
        record.key,
        record.scores_sha256,
        record.checksum,
        scores,
    )


def _timestamp(value: object) -> float:
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        return float("-inf")
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _common(values: Sequence[float]) -> float:
    return values[0] if len(set(values)) == 1 else float(np.mean(values))
