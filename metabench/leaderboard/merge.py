"""Records of others brought into a store: nothing is overwritten, and nothing is lost."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import metabench
from metabench.atomic import write_bytes, write_text
from metabench.errors import MetabenchError, UsageError
from metabench.leaderboard.folder import Folder, Found, read_folder
from metabench.leaderboard.soundness import faults
from metabench.leaderboard.terms import Terms
from metabench.runs.record import Record
from metabench.runs.store import Store

ASIDE = "aside"
"""Folder below a store: second records of a cell, which no table is made from."""
LOG = "merges.json"
"""What came from where, and when."""

CellName = tuple[str, str, str, str, int]


@dataclass
class Merged:
    """What became of the records of others.

    Attributes:
        added: Records that are in the store now.
        known: Records that were there already, byte for byte or without scores on both sides.
        reproduced: Cells whose second record has the same scores; it is kept aside.
        conflicts: Cells with two records of different scores, both named.
        refused: Records that were left out, and what is wrong or differs.
    """

    added: list[str] = field(default_factory=list)
    known: int = 0
    reproduced: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def merge(others: Iterable[Path], store: Path, origin: str = "") -> Merged:
    """Add the records of other stores to one.

    Args:
        others: Stores or folders of records.
        store: The store that grows; made if need be.
        origin: Who ran them; by default each folder's name.

    Returns:
        What became of them.

    Raises:
        UsageError: If a folder holds no records, or is the store itself.
        MetabenchError: If the store cannot be written to.
    """
    growing = _Growing(store.resolve())
    for path in others:
        if path.resolve() == growing.root:
            raise UsageError(f"{path} is the store itself; name another one")
        growing.take(read_folder(path.resolve()), origin or path.resolve().name)
    return growing.merged


class _Growing:
    """A store to which folders of records are added.

    Args:
        root: The store.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.merged = Merged()
        self._store = Store(root, only_read=True)
        self._by_key: dict[str, Found] = {}
        self._by_cell: dict[CellName, list[Found]] = defaultdict(list)
        self._terms = Terms()
        if any((root / "records").rglob("*.json")):
            for found in read_folder(root).found:
                self._index(found)

    def take(self, folder: Folder, who: str) -> None:
        """Add what can be added of a folder, and write down what was."""
        log: dict[str, list[str]] = {"added": [], "aside": []}
        self.merged.refused += [f"{who}/{folder.name(path)}: {why}" for path, why in folder.damaged]
        try:
            for found in folder.found:
                self._take_one(found, f"{who}/{folder.name(found.path)}", who, log)
            log["audits"] = _copy_audits(folder.root, self.root)
        finally:
            if any(log.values()):
                _append(self.root / LOG, folder.root, who, log)

    def _index(self, found: Found) -> None:
        self._by_key[found.record.key] = found
        self._by_cell[_cell_name(found.record)].append(found)
        self._terms.add(found.record)

    def _take_one(self, found: Found, name: str, who: str, log: Mapping[str, list[str]]) -> None:
        record = found.record
        wrong = self._terms.difference(record) or "; ".join(faults(record, found.arrays()))
        if wrong:
            self.merged.refused.append(f"{name} ({record.cell.label}): {wrong}")
            return
        mine = self._by_key.get(record.key)
        if mine is not None:
            if mine.record.checksum == record.checksum or _states(mine, found) == (False, False):
                self.merged.known += 1
                return
            log["aside"].append(self._second(mine, found, name, who))
            if mine.record.status == "ok":
                return
        self._name_rivals(found, name)
        place = self._store.path(record.cell, record.key)
        _copy(found.path, place)
        self._index(Found(place, record))
        log["added"].append(place.relative_to(self.root).as_posix())
        self.merged.added.append(log["added"][-1])

    def _second(self, mine: Found, other: Found, name: str, who: str) -> str:
        """Deal with a second record of a key, one of which has scores; return what is aside."""
        ours, cell = mine.path.relative_to(self.root).as_posix(), mine.record.cell.label
        states = _states(mine, other)
        if not states[0]:
            aside = _set_aside(mine.path, self.root, "here")
            mine.path.unlink()
            said = f"{ours} ended as {mine.record.status}, and {name} has scores; the first"
            used = "second"
        else:
            aside = _set_aside(other.path, self.root, who)
            said, used = f"{ours} has mean {mine.record.mean:.6g}, and {name} ", "first"
            if _equal(mine, other):
                self.merged.reproduced.append(f"{cell}: {name} has the scores of {ours}: {aside}")
                return aside
            theirs = f"{other.record.mean:.6g}" if states[1] else f"ended as {other.record.status}"
            said += f"{theirs}; the second"
        self.merged.conflicts.append(f"{cell}: {said} is in {aside}, and tables use the {used}")
        return aside

    def _name_rivals(self, other: Found, name: str) -> None:
        """Name records of the same cell under other keys: other code, versions or settings."""
        for mine in self._by_cell[_cell_name(other.record)]:
            known = mine.record.key == other.record.key
            if _states(mine, other) == (True, True) and not known and not _equal(mine, other):
                self.merged.conflicts.append(
                    f"{other.record.cell.label}: {mine.path.name} has mean "
                    f"{mine.record.mean:.6g} ({_version(mine.record)}), and {name} "
                    f"{other.record.mean:.6g} ({_version(other.record)}); both are kept, and "
                    "tables use the newer"
                )


def _states(mine: Found, other: Found) -> tuple[bool, bool]:
    """Which of two records has scores."""
    return mine.record.status == "ok", other.record.status == "ok"


def _equal(mine: Found, other: Found) -> bool:
    one, two = mine.scored().scores, other.scored().scores
    return one is not None and two is not None and np.array_equal(one, two, equal_nan=True)


def _set_aside(path: Path, root: Path, who: str) -> str:
    """Copy a record and its scores to a name that is free; one of the same bytes is found again."""
    folder = root / ASIDE / (re.sub(r"[^A-Za-z0-9._-]+", "_", who).strip(".") or "other")
    number = 0
    while True:
        place = folder / f"{path.stem}.{number}" / path.name
        if not place.exists() or place.read_bytes() == path.read_bytes():
            _copy(path, place)
            return place.relative_to(root).as_posix()
        number += 1


def _copy(path: Path, place: Path) -> None:
    """Copy a record as it is, its scores first: a record on disk is complete."""
    for source in (path.with_suffix(".npz"), path):
        if source.exists():
            write_bytes(place.with_suffix(source.suffix), source.read_bytes())


def _copy_audits(other: Path, root: Path) -> list[str]:
    copied = []
    for path in sorted((other / "audits").glob("*.json")):
        place = root / "audits" / path.name
        if not place.exists():
            write_bytes(place, path.read_bytes())
            copied.append(place.relative_to(root).as_posix())
    return copied


def _append(path: Path, folder: Path, who: str, log: Mapping[str, list[str]]) -> None:
    try:
        entries: Any = json.loads(path.read_text("utf-8")) if path.exists() else []
    except (OSError, ValueError) as error:
        raise MetabenchError(f"{path} cannot be read ({error}); move it away") from error
    if not isinstance(entries, list):
        raise MetabenchError(f"{path} is no list of merges; move it away")
    entry = {
        "origin": who,
        "folder": folder.name,
        "merged": datetime.now(UTC).isoformat(timespec="seconds"),
        "metabench": metabench.__version__,
        **{name: values for name, values in log.items() if values},
    }
    write_text(path, json.dumps([*entries, entry], indent=1) + "\n")


def _cell_name(record: Record) -> CellName:
    cell = record.cell
    return (cell.source, cell.encoder, cell.algorithm, cell.protocol_digest, cell.seed)


def _version(record: Record) -> str:
    return f"{record.cell.plugin} {record.cell.plugin_version}, key {record.key[:12]}"
