"""How a source reaches its upstream files, and what is checked on the way."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from metabench.errors import UnavailableError

MAX_MEMBER_BYTES = 256 * 1024**2
MAX_ARCHIVE_BYTES = 8 * 1024**3
AGAIN = "get the upstream file again"
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # an encrypted member
    ValueError,  # a header that makes no sense
)
"""What `zipfile` raises at an archive that it cannot read."""


@dataclass
class SourceContext:
    """What a source's target is called with.

    Attributes:
        source: The source's name, for error messages.
        data_dir: The data directory (``--data`` or ``METABENCH_DATA``), or ``None``.
        used: Every file handed out, in order; a change of one makes the source load again.
    """

    source: str
    data_dir: Path | None = None
    used: list[Path] = field(default_factory=list)

    def file(self, path: str) -> Path:
        """Find one upstream file.

        Args:
            path: Below the data directory, with forward slashes, as in ``DataFile.path``.

        Returns:
            The existing file or folder.

        Raises:
            UnavailableError: If there is no data directory or no such file.
            ValueError: If the path leads out of the data directory.
        """
        parts = PurePosixPath(path).parts
        if not parts or PurePosixPath(path).is_absolute() or ".." in parts or "\\" in path:
            raise ValueError(f"{self.source}: {path!r} is not a path below the data directory")
        remedy = f"`metabench data fetch {self.source}` says where to get it"
        if self.data_dir is None:
            raise UnavailableError(
                f"{self.source} reads {path} below the data directory and none is set",
                f"set METABENCH_DATA or --data; {remedy}",
            )
        found = self.data_dir.joinpath(*parts)
        if not found.exists():
            raise UnavailableError(f"{self.source}: {found} does not exist", remedy)
        self.used.append(found)
        return found

    def zip_members(self, path: str, suffix: str = "") -> Iterator[tuple[str, bytes]]:
        """Read the members of a zip archive without extracting it.

        Args:
            path: The archive, below the data directory.
            suffix: Only members whose names end so.

        Yields:
            Each member's name and bytes, sorted by name.

        Raises:
            UnavailableError: If the archive is truncated, damaged, or unreasonably large, or a
                member's name leads out of it.
        """
        archive_path = self.file(path)
        try:
            with zipfile.ZipFile(archive_path) as archive:
                for info in checked_members(archive, archive_path, suffix):
                    yield info.filename, archive.read(info)
        except DAMAGE as error:
            raise UnavailableError(
                f"{archive_path} is not a complete zip archive ({error})",
                AGAIN,
            ) from error


def checked_members(
    archive: zipfile.ZipFile, path: Path, suffix: str = "", remedy: str = AGAIN
) -> list[zipfile.ZipInfo]:
    """List the files of an archive, sorted by name.

    Args:
        archive: The opened archive.
        path: Where it lies, for the message.
        suffix: Only files whose names end so.
        remedy: What to do about a bad archive.

    Raises:
        UnavailableError: If it would unpack to an unreasonable size, or a file's name leads out of
            it.
    """
    infos = sorted(archive.infolist(), key=lambda info: info.filename)
    if sum(info.file_size for info in infos) > MAX_ARCHIVE_BYTES:
        raise UnavailableError(
            f"{path} would unpack to more than {MAX_ARCHIVE_BYTES} bytes", remedy
        )
    files = [info for info in infos if not info.is_dir() and info.filename.endswith(suffix)]
    for info in files:
        name = PurePosixPath(info.filename)
        if name.is_absolute() or ".." in name.parts:
            raise UnavailableError(
                f"{path}: member {info.filename!r} leads out of the archive", remedy
            )
        if info.file_size > MAX_MEMBER_BYTES:
            raise UnavailableError(
                f"{path}: member {info.filename} is {info.file_size} bytes", remedy
            )
    return files
