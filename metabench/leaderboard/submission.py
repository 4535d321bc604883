"""The gate for other people's records: what a maintainer wants to know before taking them in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from metabench.leaderboard.folder import Folder, Found, read_folder
from metabench.leaderboard.soundness import Arrays, Rescore, faults
from metabench.leaderboard.terms import Terms
from metabench.leaderboard.verify import Check
from metabench.runs.record import Record

CLOCK_SECONDS = 2.0
"""Slack between two times of which one is kept in whole seconds."""
AHEAD = timedelta(days=1)
"""How far a clock elsewhere may be ahead."""
SUFFIXES = frozenset({".json", ".npz"})

Strangers = Callable[[Record], Iterable[str]]
"""Names what made a record and is not installed here, or is another version or other code."""


def check_submission(
    folder: Path, published: Path | None, strangers: Strangers, rescore: Rescore | None = None
) -> Iterator[Check]:
    """Check a folder of records.

    Args:
        folder: The submission.
        published: The store that it is meant for, if there is one.
        strangers: Compares a record with what is installed.
        rescore: Computes scores from predictions.

    Yields:
        A check per finding, and one per record without any.

    Raises:
        UsageError: If a folder holds no records.
    """
    submission = read_folder(folder)
    yield from _stray_files(submission)
    for path, why in submission.damaged:
        yield Check("fail", submission.name(path), detail=why)
    terms, taken = Terms(), {}
    if published is not None:
        for found in read_folder(published).found:
            terms.add(found.record)
            taken[found.record.key] = found
    seen: dict[tuple[object, ...], str] = {}
    for found in submission.found:
        record, place = found.record, submission.name(found.path)
        arrays = found.arrays()
        findings = [*faults(record, arrays, rescore), *timing_faults(record)]
        findings += limit_faults(record, arrays)
        findings += strangers(record)
        findings += _repeats(found, place, seen, taken)
        if difference := terms.difference(record):
            findings.append(difference)
        else:
            terms.add(record)
        for finding in findings:
            yield Check("fail", place, record.cell.label, finding)
        if not findings:
            yield Check("pass", place, record.cell.label, record.status)


def timing_faults(record: Record) -> list[str]:
    """Say what cannot be true of a record's times and counts.

    Args:
        record: The record.

    Returns:
        A line each; none for a plausible record.
    """
    times = [_time(record.provenance.get(name)) for name in ("started", "finished")]
    started, finished = times
    if started is None or finished is None:
        return ["it does not say when it was started and finished"]
    found = []
    elapsed = (finished - started).total_seconds()
    if elapsed < -CLOCK_SECONDS:
        found.append(f"it finished {-elapsed:.0f} s before it was started")
    if finished > datetime.now(UTC) + AHEAD:
        found.append(f"it finished in the future, at {finished.isoformat()}")
    if record.status != "ok":
        return found
    cost = record.cost
    numbers = cost.model_dump(exclude={"shared_training"})
    found += [f"its {name} is {n}" for name, n in numbers.items() if n is not None and n < 0]
    tested = (cost.adapt_ms_per_task or 0.0) / 1000 * (record.episodes + record.undefined_episodes)
    if tested > max(elapsed, 0.0) + CLOCK_SECONDS:
        found.append(f"its test took {tested:.0f} s, and the whole cell {elapsed:.0f} s")
    if cost.adapt_ms_per_task is None:
        found.append("it does not say how long adaptation took")
    if cost.examples_seen and not cost.train_seconds:
        found.append(f"it saw {cost.examples_seen} examples in no time")
    settings = record.provenance.get("protocol")
    budget = settings.get("budget") if isinstance(settings, Mapping) else None
    if isinstance(budget, int) and (cost.examples_seen or 0) > budget:
        found.append(f"it saw {cost.examples_seen} examples, and its budget is {budget}")
    return found


def limit_faults(record: Record, arrays: Arrays) -> list[str]:
    """Say which scores cannot be.

    Args:
        record: The record.
        arrays: What lies beside it.

    Returns:
        A line each; none for a possible record.
    """
    if record.status != "ok" or record.mean is None:
        return []
    cell, found = record.cell, []
    sign = 1 if cell.best >= cell.chance else -1
    if sign * (record.mean - cell.best) > 1e-9:  # noqa: PLR2004 - rounding of a mean
        found.append(f"its mean {record.mean:.6g} is better than the best possible, {cell.best:g}")
    scores: npt.NDArray[np.float64] = arrays["scores"].astype(np.float64)
    defined = scores[~np.isnan(scores)]
    if cell.metric == "accuracy" and defined.size and not 0 <= defined.min() <= defined.max() <= 1:
        found.append("it has an accuracy outside 0 to 1")
    return found


def _stray_files(submission: Folder) -> Iterator[Check]:
    inside = submission.root / "records"
    top = inside if inside.is_dir() else submission.root
    for path in sorted(top.rglob("*")):
        name = submission.name(path)
        if path.is_symlink():
            yield Check("fail", name, detail="is a link; submit the file itself")
        elif path.is_file() and path.suffix not in SUFFIXES:
            yield Check("fail", name, detail="is no part of a record; remove it")
        elif path.suffix == ".npz" and not path.with_suffix(".json").exists():
            yield Check("fail", name, detail="holds scores without a record")


def _repeats(
    found: Found, place: str, seen: dict[tuple[object, ...], str], taken: Mapping[str, Found]
) -> Iterator[str]:
    cell = found.record.cell
    name = (cell.source, cell.encoder, cell.algorithm, cell.protocol_digest, cell.seed)
    if name in seen:
        yield f"{seen[name]} is a record of the same cell"
    seen.setdefault(name, place)
    mine = taken.get(found.record.key)
    if mine is not None and mine.record.status == "ok":
        same = mine.record.scores_sha256 == found.record.scores_sha256
        yield (
            f"the published {mine.path.name} is of the same cell, with "
            + ("the same scores" if same else f"mean {mine.record.mean:.6g}")
        )


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
