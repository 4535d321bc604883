"""The store: a folder of records, safe for many writers, that trusts nothing it reads."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import time
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from metabench.atomic import write_bytes, write_text
from metabench.errors import MetabenchError
from metabench.leaderboard.evidence import Scored
from metabench.runs.migrate import MIGRATIONS, ChangedError, migrate
from metabench.runs.record import SCHEMA_VERSION, Cell, Record

Arrays = Mapping[str, npt.NDArray[np.generic]]

LEFTOVER_SECONDS = 3600.0
"""Age from which a temporary file is taken for that of a writer that was killed."""
MAX_UNPACKED_BYTES = 2 * 1024**3
"""Largest content of a record's ``.npz``; a larger one was not written by metabench."""

_MISPLACED = "lies under another cell's name"


class DamagedError(Exception):
    """Why a record cannot be believed; the text goes on from the name of its file."""


class Store:
    """Records and caches below one folder.

    ::

        records/<source>/<protocol>/<algorithm>--<encoder>--seed0--<key>.json and .npz
        cache/        sources, features and weights; safe to delete
        quarantine/   torn or tampered records, kept for inspection
        tracebacks/   of failed cells

    Args:
        root: The folder; made when something is written.
        only_read: Whether damaged records stay where they are; they count as absent all the same.
    """

    def __init__(self, root: Path, *, only_read: bool = False) -> None:
        self.root = root
        self.quarantined: list[str] = []
        self._only_read = only_read

    def path(self, cell: Cell, key: str) -> Path:
        """Return where a cell's record lies."""
        return self.root / "records" / cell.source / cell.protocol / record_name(cell, key)

    def put(self, record: Record, arrays: Arrays | None = None) -> Record:
        """Write a record, and its arrays before it: a record on disk is complete.

        An ``ok`` record is never replaced by one without scores: of two runs that carry out the
        same cell at once, the one that succeeds counts.

        Args:
            record: What to keep.
            arrays: Per-episode scores and predictions of an ``ok`` cell.

        Returns:
            The record as written, sealed with checksums, or the ``ok`` one that is there already.

        Raises:
            MetabenchError: If the folder cannot be written to.
        """
        path = self.path(record.cell, record.key)
        if arrays is None:
            found = self.get(record.cell, record.key)
            if found is not None and found.status == "ok":
                return found
        else:
            buffer = io.BytesIO()
            np.savez_compressed(buffer, allow_pickle=False, **arrays)
            content = buffer.getvalue()
            record = record.model_copy(
                update={"scores_sha256": hashlib.sha256(content).hexdigest()}
            )
            write_bytes(path.with_suffix(".npz"), content)
        record = record.sealed()
        text = json.dumps({**record.body(), "checksum": record.checksum}, indent=1)
        write_text(path, text + "\n")
        return record

    def get(self, cell: Cell, key: str) -> Record | None:
        """Return a cell's intact record; a damaged one is quarantined and counts as absent.

        A key covers all that a protocol fixes and not its name, so a record that was made under
        another name serves as well.
        """
        path = self.path(cell, key)
        if path.exists():
            return self._read(path, key)
        for other in sorted(path.parent.parent.glob(f"*/{path.name}")):
            if (record := self._read(other, key)) is not None:
                renamed = record.cell.model_copy(update={"protocol": cell.protocol})
                return record.model_copy(update={"cell": renamed})
        return None

    def algorithms(self) -> tuple[str, ...]:
        """The names of all algorithms that have records: one record is read of each."""
        found: dict[str, Path] = {}
        for path in sorted((self.root / "records").rglob("*.json")):
            found.setdefault(path.name.partition("--")[0], path)
        return tuple(sorted(_algorithm_in(path) or part for part, path in found.items()))

    def scan(self, algorithms: Collection[str] = ()) -> Iterator[Record]:
        """Yield every intact record, in order of path.

        Args:
            algorithms: Only those of these; all if empty.
        """
        wanted = set(map(_file_part, algorithms))
        for path in sorted((self.root / "records").rglob("*.json")):
            if wanted and path.name.partition("--")[0] not in wanted:
                continue
            record = self._read(path)
            if record is not None:
                yield record

    def scored(self, record: Record) -> Scored:
        """Return a record with its per-episode scores, for the leaderboard.

        Raises:
            MetabenchError: If the scores are not those that the record was read with.
        """
        if record.status != "ok":
            return Scored(record)
        path = self.path(record.cell, record.key).with_suffix(".npz")
        if not path.exists():  # made under another protocol name, see `get`
            path = next(iter(sorted(path.parent.parent.glob(f"*/{path.name}"))), path)
        try:
            arrays = read_arrays(path, record)
        except DamagedError as damage:
            raise MetabenchError(
                f"the record of {record.cell.label} {damage}; run the same command again"
            ) from damage
        units = arrays["units"].astype(np.int64)
        return Scored(record, arrays["scores"].astype(np.float64), units if units.size else None)

    def sweep(self) -> None:
        """Remove what writers that were killed long ago have left: temporary files."""
        limit = time.time() - LEFTOVER_SECONDS
        for folder in ("records", "cache", "quarantine", "tracebacks"):
            for path in (self.root / folder).rglob(".*"):
                with contextlib.suppress(OSError):
                    if path.is_file() and path.stat().st_mtime < limit:
                        path.unlink()

    def _read(self, path: Path, key: str | None = None) -> Record | None:
        try:
            return read_record(path, key)
        except FileNotFoundError:
            return None
        except DamagedError as damage:
            self._quarantine(path, str(damage))
            return None

    def _quarantine(self, path: Path, why: str) -> None:
        """Set a record aside, with its scores, and remember the reason."""
        where = "it is left where it is"
        if not self._only_read:
            folder = self.root / "quarantine"
            try:
                _move(path, folder)
            except OSError as error:
                where = f"it cannot be moved to {folder} ({error.strerror})"
            else:
                where = f"moved to {folder}"
        self.quarantined.append(f"{path.name} {why}; {where}, and the cell counts as not run")


def record_name(cell: Cell, key: str) -> str:
    """Return the file name of a cell's record."""
    encoder = re.sub(r"[^A-Za-z0-9._-]+", "_", cell.encoder)[-60:]
    return f"{_file_part(cell.algorithm)}--{encoder}--seed{cell.seed}--{key[:16]}.json"


def _algorithm_in(path: Path) -> str:
    """Return the algorithm that a record names; nothing if it cannot be read."""
    try:
        return str(json.loads(path.read_text("utf-8"))["cell"]["algorithm"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _file_part(algorithm: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", algorithm)[-60:]


def read_record(path: Path, key: str | None = None) -> Record:
    """Read a record wherever it lies; that of an earlier layout comes in the present one.

    Args:
        path: The file; the scores of an ``ok`` record lie beside it.
        key: The key that it must have, if a certain cell is looked for.

    Raises:
        DamagedError: If the record or its scores are torn, changed or of a newer layout.
        FileNotFoundError: If there is no such file.
    """
    try:
        record = _parsed(path.read_text("utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedError(f"cannot be read ({error})") from error
    if path.name != record_name(record.cell, record.key) or key not in {None, record.key}:
        raise DamagedError(_MISPLACED)
    if record.status == "ok":
        read_arrays(path.with_suffix(".npz"), record)
    return record


def _parsed(text: str) -> Record:
    try:
        values = json.loads(text)
        version = values.get("schema_version") if isinstance(values, dict) else SCHEMA_VERSION
        if isinstance(version, int) and version in MIGRATIONS:
            values = migrate(values)
        elif version != SCHEMA_VERSION:
            newer = isinstance(version, int) and version > SCHEMA_VERSION
            raise DamagedError(
                f"has schema version {version!r}, and this metabench reads version {SCHEMA_VERSION}"
                + (": update metabench" if newer else "")
            )
        record = Record.model_validate(values)
        intact = record.intact
    except ChangedError:
        intact = False
    except (ValidationError, ValueError, RecursionError):
        raise DamagedError("is torn: it is no complete record") from None
    if not intact:
        raise DamagedError("was changed after it was written: its checksum differs")
    return record


def read_arrays(path: Path, record: Record) -> dict[str, npt.NDArray[np.generic]]:
    """Return the arrays of an ``ok`` record, if they are those that were written.

    Args:
        path: The ``.npz`` file.
        record: The record beside it.

    Raises:
        DamagedError: If they are missing, or not what the record was written with.
    """
    try:
        content = path.read_bytes()
    except OSError:
        raise DamagedError(f"lacks its scores {path.name}") from None
    if hashlib.sha256(content).hexdigest() != record.scores_sha256:
        raise DamagedError(f"has damaged scores: the checksum of {path.name} differs")
    try:
        return _unpacked(content)
    except Exception as error:  # whatever a forged archive makes the readers raise
        raise DamagedError(f"has unreadable scores {path.name} ({error})") from error


def _unpacked(content: bytes) -> dict[str, npt.NDArray[np.generic]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MAX_UNPACKED_BYTES:
        raise ValueError(f"{size} bytes unpacked")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if not all(_is_vector(arrays.get(name)) for name in ("scores", "units")):
        raise ValueError("no row of numbers")
    return arrays


def _is_vector(array: object) -> bool:
    return isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype.kind in "iuf"


def _move(path: Path, folder: Path) -> None:
    """Move a record and its scores, under names that are free."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    while any((folder / f"{path.stem}.{number}{suffix}").exists() for suffix in (".json", ".npz")):
        number += 1
    for part in (path, path.with_suffix(".npz")):
        with contextlib.suppress(FileNotFoundError):
            part.rename(folder / f"{path.stem}.{number}{part.suffix}")
