"""The store: a folder of records, safe for many writers, that trusts nothing it reads."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from metabench.atomic import write_bytes, write_text
from metabench.leaderboard.evidence import Scored
from metabench.runs.record import SCHEMA_VERSION, Cell, Record

Arrays = Mapping[str, npt.NDArray[np.generic]]


class Store:
    """Records and caches below one folder.

    ::

        records/<source>/<protocol>/<algorithm>--<encoder>--seed0--<key>.json and .npz
        cache/        sources, features and weights; safe to delete
        quarantine/   torn or tampered records, kept for inspection
        tracebacks/   of failed cells

    Args:
        root: The folder; made when something is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.quarantined: list[str] = []

    @property
    def cache(self) -> Path:
        """The folder of everything that can be computed again."""
        return self.root / "cache"

    def path(self, cell: Cell, key: str) -> Path:
        """Return where a cell's record lies."""
        encoder = re.sub(r"[^A-Za-z0-9._-]+", "_", cell.encoder)[-60:]
        name = f"{cell.algorithm}--{encoder}--seed{cell.seed}--{key[:16]}.json"
        return self.root / "records" / cell.source / cell.protocol / name

    def put(self, record: Record, arrays: Arrays | None = None) -> Record:
        """Write a record, and its arrays before it: a record on disk is complete.

        Args:
            record: What to keep.
            arrays: Per-episode scores and predictions of an ``ok`` cell.

        Returns:
            The record as written, sealed with checksums.

        Raises:
            MetabenchError: If the folder cannot be written to.
        """
        path = self.path(record.cell, record.key)
        if arrays is not None:
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
        """Return a cell's intact record; a damaged one is quarantined and counts as absent."""
        return self._read(self.path(cell, key), key)

    def scan(self) -> Iterator[Record]:
        """Yield every intact record, in order of path."""
        for path in sorted((self.root / "records").rglob("*.json")):
            record = self._read(path)
            if record is not None:
                yield record

    def arrays(self, record: Record) -> dict[str, npt.NDArray[np.generic]]:
        """Return the arrays of an ``ok`` record."""
        path = self.path(record.cell, record.key).with_suffix(".npz")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    def scored(self, record: Record) -> Scored:
        """Return a record with its per-episode scores, for the leaderboard."""
        if record.status != "ok":
            return Scored(record)
        arrays = self.arrays(record)
        units = arrays["units"].astype(np.int64)
        return Scored(record, arrays["scores"].astype(np.float64), units if units.size else None)

    def _read(self, path: Path, key: str | None = None) -> Record | None:
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            return self._quarantine(path, f"cannot be read ({error})")
        try:
            values = json.loads(text)
            if isinstance(values, dict) and values.get("schema_version") != SCHEMA_VERSION:
                return self._quarantine(
                    path,
                    f"has schema version {values.get('schema_version')!r}, and this metabench "
                    f"reads version {SCHEMA_VERSION}",
                )
            record = Record.model_validate(values)
        except (json.JSONDecodeError, ValidationError):
            return self._quarantine(path, "is torn: it is no complete record")
        if not record.intact:
            return self._quarantine(path, "was changed after it was written: its checksum differs")
        if key is not None and record.key != key:
            return self._quarantine(path, "lies under another cell's name")
        if record.status == "ok" and (why := self._damage(path.with_suffix(".npz"), record)):
            return self._quarantine(path, why)
        return record

    def _damage(self, path: Path, record: Record) -> str:
        try:
            content = path.read_bytes()
        except OSError:
            return f"lacks its scores {path.name}"
        if hashlib.sha256(content).hexdigest() != record.scores_sha256:
            return f"has damaged scores: the checksum of {path.name} differs"
        if not zipfile.is_zipfile(io.BytesIO(content)):
            return f"has unreadable scores {path.name}"
        return ""

    def _quarantine(self, path: Path, why: str) -> None:
        """Set a record aside, with its scores, and remember the reason."""
        folder = self.root / "quarantine"
        folder.mkdir(parents=True, exist_ok=True)
        for part in (path, path.with_suffix(".npz")):
            target = folder / part.name
            number = 0
            while target.exists():
                number += 1
                target = folder / f"{part.stem}.{number}{part.suffix}"
            try:
                part.rename(target)
            except FileNotFoundError:
                continue
        self.quarantined.append(f"{path.name} {why}; moved to {folder}, the cell runs again")
