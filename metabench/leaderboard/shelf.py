"""Files that may be lost at any time: what is read is what was written for exactly this key.

Each begins with the SHA-256 of all that follows, and holds the key of what it was made from. One
that is torn, changed, or of another key is as good as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from metabench.atomic import write_bytes
from metabench.errors import MetabenchError
from metabench.leaderboard.statistics import FloatArray
from metabench.runs.archive import pack_plain, unpack

_TOLD = "told"
_DIGEST = 64
_IGNORE = "# Kept for speed; safe to delete.\n*\n"


class Shelf:
    """A folder of such files.

    Args:
        folder: It is made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str, key: str) -> tuple[Any, list[FloatArray]] | None:
        """Return what was kept under a name, if it was kept for this key."""
        try:
            content = (self._folder / name).read_bytes()
            if hashlib.sha256(content[_DIGEST:]).hexdigest().encode() != content[:_DIGEST]:
                return None
            arrays = unpack(content[_DIGEST:])
            told = json.loads(arrays.pop(_TOLD).tobytes())
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, RecursionError):
            return None
        if told["key"] != key:
            return None
        return told["value"], [arrays[str(n)].astype(np.float64) for n in range(len(arrays))]

    def put(self, name: str, key: str, value: Any, arrays: list[FloatArray]) -> None:
        """Keep something; where that is impossible it is made anew each time."""
        told = json.dumps({"key": key, "value": value}, separators=(",", ":")).encode()
        kept: Mapping[str, Any] = {
            _TOLD: np.frombuffer(told, np.uint8),
            **{str(number): array for number, array in enumerate(arrays)},
        }
        content = pack_plain(kept)
        digest = hashlib.sha256(content).hexdigest().encode()
        with contextlib.suppress(MetabenchError):
            ignore = self._folder / ".gitignore"
            if not ignore.exists():
                write_bytes(ignore, _IGNORE.encode(), lasting=False)
            write_bytes(self._folder / name, digest + content, lasting=False)
