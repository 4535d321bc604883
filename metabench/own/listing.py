"""The files of a folder or of a zip archive, in an order of their own. Needs no torch."""

from __future__ import annotations

import hashlib
import os
import threading
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

from metabench.errors import UsageError
from metabench.own.data import pathname
from metabench.tasks.files import DAMAGE, checked_members

JUNK = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
"""What systems leave in folders; so is everything whose name begins with a dot."""
MAX_FILES = 5_000_000


@dataclass(frozen=True)
class Listing:
    """The files below a folder, or in an archive.

    Attributes:
        root: The folder or archive.
        names: Their paths below it with forward slashes, sorted by code point: the order does not
            depend on the file system.
        digest: Changes with any name, size or time.
        links: Links to folders or to nothing, which are not followed, sorted.
    """

    root: Path
    names: tuple[str, ...]
    digest: str
    links: tuple[str, ...] = ()


def list_files(root: Path) -> Listing:
    """List a folder or a zip archive.

    Args:
        root: The folder or archive.

    Raises:
        UsageError: If it does not exist, is no archive, is unreasonably large, or a path or link
            leads out of it.
    """
    links: list[str] = []
    if root.is_dir():
        found = sorted(_walk(root, root.resolve(), links))
    elif root.suffix.lower() == ".zip" and root.is_file():
        found = sorted(_members(root))
    elif root.exists():
        raise UsageError(f"{pathname(root)} is neither a folder nor a .zip")
    else:
        raise UsageError(f"{pathname(root)} does not exist{_nearby(root)}")
    sha = hashlib.sha256()
    for name, size, time in found:
        sha.update(f"{name}\0{size}\0{time}\0".encode(errors="surrogateescape"))
    return Listing(root, tuple(n for n, _, _ in found), sha.hexdigest(), tuple(sorted(links)))


def _nearby(path: Path) -> str:
    import difflib  # noqa: PLC0415 - only where a path is wrong

    inside = path.parent
    names = [entry.name for entry in inside.iterdir()] if inside.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {pathname(inside / near[0])}?" if near else ""


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in JUNK


def _walk(root: Path, real: Path, links: list[str]) -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of every file; a link may lead to files inside only.

    Links to folders or to nothing are collected, and not followed.
    """
    pending, count = [""], 0
    while pending:
        below = pending.pop()
        with os.scandir(root / below) as entries:
            for entry in entries:
                if _is_junk(entry.name):
                    continue
                name = f"{below}{entry.name}"
                if entry.is_symlink():
                    _check_link(root, real, name)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{name}/")
                elif entry.is_file():
                    status = entry.stat()
                    count += 1
                    if count > MAX_FILES:
                        raise UsageError(f"{pathname(root)} holds more than {MAX_FILES} files")
                    yield name, status.st_size, status.st_mtime_ns
                elif entry.is_symlink():
                    links.append(name)


def _check_link(root: Path, real: Path, name: str) -> None:
    target = (root / name).resolve()
    if not target.is_relative_to(real):
        raise UsageError(
            f"{pathname(root / name)} is a link that leads out of the folder, to {target}; "
            "copy what it stands for into the folder, or remove it"
        )


def _members(archive: Path) -> Iterator[tuple[str, int, int]]:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = checked_members(opened, archive, remedy="pack the folder again")
    except DAMAGE as error:
        raise UsageError(f"{pathname(archive)} is not a complete zip archive ({error})") from error
    for info in members:
        if not any(map(_is_junk, info.filename.split("/"))):
            yield info.filename, info.file_size, info.CRC


class FolderFiles(Sequence[Path]):
    """Files of a folder; a path is made when it is asked for.

    Args:
        root: The folder.
        names: Paths below it.
    """

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self._root = root
        self._names = names

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> FolderFiles: ...
    def __getitem__(self, index: int | slice) -> Path | FolderFiles:
        """Return a path, or some of the files."""
        if isinstance(index, slice):
            return FolderFiles(self._root, self._names[index])
        return self._root / self._names[index]


class ZipFiles(Sequence[bytes]):
    """Members of a zip archive; one is unpacked when it is asked for.

    Args:
        archive: The archive.
        names: Its members.
    """

    def __init__(self, archive: Path, names: Sequence[str]) -> None:
        self._archive = archive
        self._names = names
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self._names)

    @cached_property
    def _opened(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self._archive)

    def sums(self, positions: Sequence[int]) -> list[tuple[int, int]]:
        """Return size and checksum of some members, without unpacking them."""
        found = [self._opened.getinfo(self._names[position]) for position in positions]
        return [(info.file_size, info.CRC) for info in found]

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> ZipFiles: ...
    def __getitem__(self, index: int | slice) -> bytes | ZipFiles:
        """Return a member's bytes, none where it is damaged; or some of the members."""
        if isinstance(index, slice):
            return ZipFiles(self._archive, self._names[index])
        try:
            with self._lock:
                return self._opened.read(self._names[index])
        except DAMAGE:
            return b""


def files_of(listing: Listing, names: Sequence[str]) -> Sequence[Path] | Sequence[bytes]:
    """Return some files of a listing as items for a reader."""
    if listing.root.is_dir():
        return FolderFiles(listing.root, names)
    return ZipFiles(listing.root, names)
