"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from metabench.errors import MetabenchError


def write_bytes(path: Path, content: bytes, *, lasting: bool = True) -> None:
    """Write a file atomically; see `write_with`.

    Args:
        path: The file; its folder is made if need be.
        content: What it shall hold.
        lasting: As for `write_with`.
    """
    write_with(path, lambda temporary: temporary.write_bytes(content), lasting=lasting)


def write_with(path: Path, write: Callable[[Path], object], *, lasting: bool = True) -> None:
    """Write a file atomically: temporary file in the same folder, fsync, rename, fsync the folder.

    Args:
        path: The file; its folder is made if need be.
        write: Writes the content to the temporary file that it is called with.
        lasting: Whether to wait until it is safe on the disk. If not, a power failure may leave the
            file torn: for what carries its own checksum and can be made again.

    Raises:
        MetabenchError: If the disk is full, the folder is read-only or a part of the path is no
            folder. Nothing half-written is left.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
        os.close(handle)
        try:
            write(Path(name))
            if lasting:
                _sync(Path(name))
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        if lasting:
            _sync(path.parent)
    except OSError as error:
        raise MetabenchError(f"cannot write {path}: {_reason(error)}") from error


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text atomically; see `write_bytes`."""
    write_bytes(path, content.encode())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: OSError) -> str:
    remedies = {
        errno.ENOSPC: "the disk is full; free some space and run the same command again",
        errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
        errno.EROFS: "the file system is read-only; choose another folder",
        errno.EACCES: "permission denied; choose another folder",
        errno.ENOTDIR: "a part of the path is a file, not a folder; choose another folder",
    }
    return remedies.get(error.errno or 0, error.strerror or str(error))
