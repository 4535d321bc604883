"""What changed between two stores, or two folders of tables, and whether by more than chance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metabench.errors import UsageError
from metabench.leaderboard.csvfile import read_csv
from metabench.leaderboard.diff import describe_difference
from metabench.leaderboard.evidence import Evidence, gather
from metabench.leaderboard.folder import read_folder
from metabench.leaderboard.ranking import SIGNIFICANCE, holm, paired_tests
from metabench.leaderboard.statistics import FloatArray
from metabench.leaderboard.verify import IDENTITY, ROW_IDENTITY

CellName = tuple[str, str, str, str, int]


@dataclass(frozen=True)
class Change:
    """One cell or row that is not the same on both sides.

    Attributes:
        label: Which.
        verdict: ``more than chance``, ``within chance``, ``only in A``, ``only in B``, ``not
            comparable`` or ``changed``, where nothing tells whether by chance.
        detail: The numbers.
        difference: B minus A, where both have one.
        p_value: Holm-corrected, where the same episodes were met.
    """

    label: str
    verdict: str
    detail: str
    difference: float | None = None
    p_value: float | None = None


@dataclass(frozen=True)
class Comparison:
    """All that differs.

    Attributes:
        protocols: Per source and protocol: the settings that differ, or ``the same``.
        changes: Cells or rows that differ.
        same: Number of those with equal numbers.
        unscored: Number of those without a number that stand on one side only.
    """

    protocols: tuple[str, ...]
    changes: tuple[Change, ...]
    same: int
    unscored: int = 0


def compare(first: Path, second: Path) -> Comparison:
    """Compare two stores, or two folders of tables where one of them has no records.

    Args:
        first: One side, A.
        second: The other, B.

    Raises:
        UsageError: If a folder holds neither records nor tables.
    """
    if all(_has_records(folder) for folder in (first, second)):
        return _compare_stores(first, second)
    for folder in (first, second):
        if not any(folder.glob("*.csv")):
            raise UsageError(f"{folder} holds neither records nor tables")
    return _compare_tables(first, second)


def _has_records(folder: Path) -> bool:
    return (folder / "records").is_dir() or (folder.is_dir() and not any(folder.glob("*.csv")))


def _compare_stores(first: Path, second: Path) -> Comparison:
    sides = [_cells(folder) for folder in (first, second)]
    changes: list[Change] = []
    pairs: list[tuple[str, Evidence, Evidence]] = []
    same = unscored = 0
    for name in sorted({*sides[0], *sides[1]}):
        a, b = (side.get(name) for side in sides)
        if a is None or b is None:
            one, where = (a, "A") if b is None else (b, "B")
            assert one is not None
            unscored += one.scores is None
            if one.scores is not None:
                changes.append(Change(_label(one), f"only in {where}", _number(one)))
        elif a.scores is None or b.scores is None:
            if a.scores is b.scores and a.status == b.status:
                same += 1
            else:
                changes.append(Change(_label(a), "changed", f"{_number(a)} -> {_number(b)}"))
        elif a.episodes_digest != b.episodes_digest or a.scores.shape != b.scores.shape:
            detail = f"{_number(a)} -> {_number(b)}, on other test episodes"
            changes.append(Change(_label(a), "not comparable", detail))
        else:
            pairs.append((_label(a), a, b))
            same += np.array_equal(a.scores, b.scores, equal_nan=True)
    changes = [*_tested(pairs), *changes]
    return Comparison(tuple(_protocols(*sides)), tuple(changes), same, unscored)


def _cells(folder: Path) -> dict[CellName, Evidence]:
    """Every cell by itself; of several records of one, that which tables use."""
    found: dict[CellName, list[int]] = defaultdict(list)
    scored = [one.scored() for one in read_folder(folder).found]
    for number, one in enumerate(scored):
        cell = one.record.cell
        name = (cell.source, cell.protocol_digest, cell.encoder, cell.algorithm, cell.seed)
        found[name].append(number)
    return {
        name: gather([scored[number] for number in numbers])[0][0]
        for name, numbers in found.items()
    }


def _tested(pairs: Iterable[tuple[str, Evidence, Evidence]]) -> Iterator[Change]:
    """Test every pair on its shared episodes; yield those that are not the same."""
    results = []
    for label, a, b in pairs:
        assert a.scores is not None
        assert b.scores is not None
        difference, p_value = paired_tests(np.stack([b.scores.ravel(), a.scores.ravel()]))
        results.append((label, a, b, float(difference[0, 1]), float(p_value[0, 1])))
    adjusted = holm(np.array([p for *_, p in results]))
    for (label, a, b, gain, _), p in zip(results, adjusted.tolist(), strict=True):
        if np.array_equal(_scores(a), _scores(b), equal_nan=True):
            continue
        verdict = "more than chance" if p < SIGNIFICANCE else "within chance"
        detail = f"{_number(a)} -> {_number(b)} ({gain:+.4g}, p = {p:.2g})"
        yield Change(label, verdict, detail, gain, p)


def _scores(evidence: Evidence) -> FloatArray:
    assert evidence.scores is not None
    return evidence.scores


def _protocols(
    first: Mapping[CellName, Evidence], second: Mapping[CellName, Evidence]
) -> Iterator[str]:
    sides: list[dict[tuple[str, str], dict[str, object]]] = []
    for side in (first, second):
        found: dict[tuple[str, str], dict[str, object]] = {}
        for evidence in side.values():
            cell, held = evidence.cell, evidence.records[0].provenance.get("protocol")
            settings = dict(held) if isinstance(held, Mapping) else {}
            name = (cell.source, evidence.protocol)
            found.setdefault(name, {**settings, "digest": cell.protocol_digest})
        sides.append(found)
    for source, protocol in sorted({*sides[0], *sides[1]}):
        left, right = (side.get((source, protocol)) for side in sides)
        if left is None or right is None:
            yield f"{source} {protocol}: only in {'A' if right is None else 'B'}"
        else:
            lines = describe_difference(left, right)
            yield f"{source} {protocol}: " + ("; ".join(lines) if lines else "the same")


def _label(evidence: Evidence) -> str:
    return evidence.cell.label


def _number(evidence: Evidence) -> str:
    mean = evidence.records[0].mean
    return evidence.status if evidence.scores is None or mean is None else f"{mean:.4f}"


def _compare_tables(first: Path, second: Path) -> Comparison:
    changes: list[Change] = []
    same = unscored = 0
    names = {path.name for folder in (first, second) for path in folder.glob("*.csv")}
    for name in sorted(names):
        # The place in a table over all hangs on every row; its rows say nothing by themselves.
        identity = IDENTITY.get(Path(name).stem, ROW_IDENTITY)
        if identity is not ROW_IDENTITY:
            continue
        sides = [_rows(folder / name, identity) for folder in (first, second)]
        for row in sorted({*sides[0], *sides[1]}):
            a, b = (side.get(row) for side in sides)
            label = f"{name}: {'/'.join(row[:-1])}"
            if a is None or b is None:
                one = a or b
                assert one is not None
                unscored += not one.get("mean")
                if one.get("mean"):
                    where = "A" if b is None else "B"
                    changes.append(Change(label, f"only in {where}", one["mean"]))
            elif a == b or (change := _changed_row(label, a, b)) is None:
                same += 1
            else:
                changes.append(change)
    return Comparison((), tuple(changes), same, unscored)


def _rows(path: Path, identity: Iterable[str]) -> dict[tuple[str, ...], dict[str, str]]:
    if not path.is_file():
        return {}
    return {tuple(row.get(name, "") for name in identity): row for row in read_csv(path)}


def _changed_row(label: str, a: Mapping[str, str], b: Mapping[str, str]) -> Change | None:
    if (a.get("status"), a.get("mean")) == (b.get("status"), b.get("mean")):
        return None
    detail = f"{_cell(a)} -> {_cell(b)}"
    if a.get("episodes_digest") != b.get("episodes_digest"):
        return Change(label, "not comparable", f"{detail}, on other test episodes")
    try:
        ends = [float(side[name]) for side in (a, b) for name in ("ci95_low", "ci95_high")]
    except (KeyError, ValueError):
        return Change(label, "changed", detail)
    if ends[1] < ends[2] or ends[3] < ends[0]:
        return Change(label, "more than chance", f"{detail}, the intervals do not overlap")
    return Change(
        label, "changed", f"{detail}, the intervals overlap: compare the stores for a paired test"
    )


def _cell(row: Mapping[str, str]) -> str:
    return row.get("mean") or row.get("status") or "nothing"
