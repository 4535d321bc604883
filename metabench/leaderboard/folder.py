"""A folder of records, read without touching it: what is sound, and what is not and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metabench.errors import UsageError
from metabench.leaderboard.evidence import Scored
from metabench.runs.record import Record
from metabench.runs.store import DamagedError, read_arrays, read_record


@dataclass(frozen=True)
class Found:
    """A record and where it lies.

    Attributes:
        path: The JSON file.
        record: What it holds.
    """

    path: Path
    record: Record

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays beside an ``ok`` record; none for another.

        Raises:
            DamagedError: If they are not what the record was written with.
        """
        if self.record.status != "ok":
            return {}
        return dict(read_arrays(self.path.with_suffix(".npz"), self.record))

    def scored(self) -> Scored:
        """Return the record with its per-episode scores.

        Raises:
            DamagedError: As in `arrays`.
        """
        arrays = self.arrays()
        if not arrays:
            return Scored(self.record)
        units = arrays["units"].astype(np.int64)
        scores = arrays["scores"].astype(np.float64)
        return Scored(self.record, scores, units if units.size else None)


@dataclass(frozen=True)
class Folder:
    """The records of a folder.

    Attributes:
        root: The folder.
        found: The intact ones, in order of path.
        damaged: Every other JSON file, and what is wrong with it.
    """

    root: Path
    found: tuple[Found, ...]
    damaged: tuple[tuple[Path, str], ...]

    def name(self, path: Path) -> str:
        """Return a file's path below the folder."""
        return path.relative_to(self.root).as_posix()


def read_folder(root: Path) -> Folder:
    """Read every record of a store, or of any folder of records.

    Args:
        root: A store, whose records lie in ``records/``, or a folder that holds nothing else.

    Raises:
        UsageError: If there is no such folder, or no record in it.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is no folder; name a store or a folder of records")
    inside = root / "records"
    found, damaged = [], []
    for path in sorted((inside if inside.is_dir() else root).rglob("*.json")):
        try:
            found.append(Found(path, read_record(path)))
        except DamagedError as damage:
            damaged.append((path, str(damage)))
        except FileNotFoundError:  # a link that leads nowhere
            damaged.append((path, "cannot be read (no such file)"))
    if not found and not damaged:
        raise UsageError(f"{root} holds no records; `metabench run --store {root}` makes some")
    return Folder(root, tuple(found), tuple(damaged))
