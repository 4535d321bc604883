"""The store: a folder of records, safe for many writers, that trusts nothing it reads."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from metabench.atomic import write_bytes, write_text
from metabench.errors import MetabenchError
from metabench.leaderboard.evidence import Scored
from metabench.runs.archive import pack, unpack
from metabench.runs.migrate import MIGRATIONS, ChangedError, migrate
from metabench.runs.record import SCHEMA_VERSION, Cell, Record, digest_of

Arrays = Mapping[str, npt.NDArray[np.generic]]

LEFTOVER_SECONDS = 3600.0
"""Age from which a temporary file is taken for that of a writer that was killed."""
SCORES = ("scores", "units")
"""The arrays that tables are made of."""

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
        self.only_read = only_read

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
            content = pack(arrays)
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
            scored = self.read(path, key)
            return None if scored is None else scored.record
        for other in sorted(path.parent.parent.glob(f"*/{path.name}")):
            if (scored := self.read(other, key)) is not None:
                renamed = scored.record.cell.model_copy(update={"protocol": cell.protocol})
                return scored.record.model_copy(update={"cell": renamed})
        return None

    def algorithms(self) -> tuple[str, ...]:
        """The names of all algorithms that have records: one record is read of each."""
        found: dict[str, Path] = {}
        for path in sorted((self.root / "records").rglob("*.json")):
            found.setdefault(path.name.partition("--")[0], path)
        return tuple(sorted(_algorithm_in(path) or part for part, path in found.items()))

    def sources(self) -> tuple[str, ...]:
        """The names of all sources that have records, by the folders that these lie in."""
        folder = self.root / "records"
        names = {path.relative_to(folder).parts[0] for path in folder.rglob("*.json")}
        return tuple(sorted(names))

    def scan(self, algorithms: Collection[str] = (), source: str = "") -> Iterator[Record]:
        """Yield every intact record, in order of path.

        Args:
            algorithms: Only those of these; all if empty.
            source: Only those of this one; of all if empty.
        """
        for scored in self.scan_scored(algorithms, source):
            yield scored.record

    def scan_scored(self, algorithms: Collection[str] = (), source: str = "") -> Iterator[Scored]:
        """Yield every intact record with its per-episode scores, in order of path.

        Args:
            algorithms: Only those of these; all if empty.
            source: Only those of this one; of all if empty.
        """
        wanted = set(map(_file_part, algorithms))
        for path in sorted((self.root / "records" / source).rglob("*.json")):
            if wanted and path.name.partition("--")[0] not in wanted:
                continue
            scored = self.read(path)
            if scored is not None:
                yield scored

    def scored(self, record: Record) -> Scored:
        """Return a record with its per-episode scores, for the leaderboard.

        Raises:
            MetabenchError: If the scores are not those that the record was read with.
        """
        if record.status != "ok":
            return Scored(record)
        return _scored(record, self.arrays(record, SCORES))

    def arrays(self, record: Record, names: Collection[str] | None = None) -> Arrays:
        """Return the per-episode scores and predictions of an ``ok`` record.

        Args:
            record: The record.
            names: Only these arrays; all if ``None``.

        Raises:
            MetabenchError: If they are not those that the record was read with.
        """
        path = self.path(record.cell, record.key).with_suffix(".npz")
        if not path.exists():  # made under another protocol name, see `get`
            path = next(iter(sorted(path.parent.parent.glob(f"*/{path.name}"))), path)
        try:
            return read_arrays(path, record, names)
        except DamagedError as damage:
            raise MetabenchError(
                f"the record of {record.cell.label} {damage}; run the same command again"
            ) from damage

    def sweep(self) -> None:
        """Remove what writers that were killed long ago have left: temporary files."""
        limit = time.time() - LEFTOVER_SECONDS
        for folder in ("records", "cache", "quarantine", "tracebacks"):
            for path in (self.root / folder).rglob(".*"):
                with contextlib.suppress(OSError):
                    if path.is_file() and path.stat().st_mtime < limit:
                        path.unlink()

    def read(self, path: Path, key: str | None = None) -> Scored | None:
        """Return the record in a file; a damaged one is quarantined and counts as absent.

        Args:
            path: The file.
            key: The key that it must have, if a certain cell is looked for.
        """
        try:
            return read_scored(path, key)
        except FileNotFoundError:
            return None
        except DamagedError as damage:
            self._quarantine(path, str(damage))
            return None

    def _quarantine(self, path: Path, why: str) -> None:
        """Set a record aside, with its scores, and remember the reason."""
        where = "it is left where it is"
        if not self.only_read:
            folder = self.root / "quarantine"
            try:
                _move(path, folder)
            except OSError as error:
                where = f"it cannot be moved to {folder} ({error.strerror})"
            else:
                where = f"moved to {folder}"
        name = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        self.quarantined.append(f"{name.as_posix()} {why}; {where}, and the cell counts as not run")


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
    record = _read_json(path, key)
    if record.status == "ok":
        read_arrays(path.with_suffix(".npz"), record)
    return record


def read_scored(path: Path, key: str | None = None) -> Scored:
    """Read a record with its per-episode scores; predictions are not unpacked.

    Args:
        path: As in `read_record`.
        key: As in `read_record`.

    Raises:
        DamagedError: As in `read_record`.
        FileNotFoundError: If there is no such file.
    """
    record = _read_json(path, key)
    if record.status != "ok":
        return Scored(record)
    return _scored(record, read_arrays(path.with_suffix(".npz"), record, SCORES))


def _scored(record: Record, arrays: Arrays) -> Scored:
    units = arrays["units"].astype(np.int64)
    return Scored(record, arrays["scores"].astype(np.float64), units if units.size else None)


def _read_json(path: Path, key: str | None) -> Record:
    try:
        record = _parsed(path.read_text("utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedError(f"cannot be read ({error})") from error
    if path.name != record_name(record.cell, record.key) or key not in {None, record.key}:
        raise DamagedError(_MISPLACED)
    return record


def _parsed(text: str) -> Record:
    try:
        values = json.loads(text)
        version = values.get("schema_version") if isinstance(values, dict) else SCHEMA_VERSION
        if isinstance(version, int) and version in MIGRATIONS:
            values = migrate(values)
        elif version != SCHEMA_VERSION:
            newer = isinstance(version, int) and version > SCHEMA_VERSION
            remedy = "update metabench" if newer else "run the cell again"
            raise DamagedError(
                f"has schema version {version!r}, and this metabench reads version "
                f"{SCHEMA_VERSION}: {remedy}"
            )
        record = Record.model_validate(values)
        # What metabench wrote is canonical as it stands; anything else is judged as understood.
        checksum = values.pop("checksum", "")
        intact = checksum == digest_of(values) or record.intact
    except ChangedError:
        intact = False
    except (ValidationError, ValueError, RecursionError):
        raise DamagedError("is torn: it is no complete record") from None
    if not intact:
        raise DamagedError("was changed after it was written: its checksum differs")
    return record


def read_arrays(
    path: Path, record: Record, names: Collection[str] | None = None
) -> dict[str, npt.NDArray[np.generic]]:
    """Return the arrays of an ``ok`` record, if they are those that were written.

    Args:
        path: The ``.npz`` file.
        record: The record beside it.
        names: Which arrays, `SCORES` among them; all by default.

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
        arrays = unpack(content, names)
    except Exception as error:  # whatever a forged archive makes the readers raise
        raise DamagedError(f"has unreadable scores {path.name} ({error})") from error
    if not all(_is_vector(arrays.get(name)) for name in SCORES):
        raise DamagedError(f"has unreadable scores {path.name} (no row of numbers)")
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
