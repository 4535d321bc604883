"""Reading a compressed tar archive without extracting it."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from metabench.errors import UnavailableError
from metabench.tasks.files import MAX_ARCHIVE_BYTES, MAX_MEMBER_BYTES

REMEDY = "get the upstream file again"
_DAMAGE = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError)


def tar_members(path: Path, suffix: str = "") -> Iterator[tuple[str, bytes]]:
    """Read the regular files of a ``.tar.gz`` in the order in which they lie.

    Args:
        path: The archive.
        suffix: Only members whose names end so.

    Yields:
        Each member's name, without a leading ``./``, and bytes.

    Raises:
        UnavailableError: If the archive is truncated, damaged or unreasonably large, or a member's
            name leads out of it.
    """
    total = 0
    try:
        with gzip.open(path) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    name = PurePosixPath(member.name)
                    if name.is_absolute() or ".." in name.parts:
                        raise _refused(path, f"member {member.name!r} leads out of the archive")
                    total += member.size
                    if member.size > MAX_MEMBER_BYTES or total > MAX_ARCHIVE_BYTES:
                        raise _refused(path, f"would unpack to {total} bytes by {member.name}")
                    if not member.isreg() or not member.name.endswith(suffix):
                        continue
                    content = archive.extractfile(member)
                    assert content is not None
                    yield str(name), content.read()
            # tarfile stops at the end mark, or quietly where the data end: gzip's own check sum,
            # which comes last, tells the two apart.
            while stream.read(1 << 20):
                total += 1 << 20
                if total > MAX_ARCHIVE_BYTES:
                    raise _refused(path, "goes on after its end")
    except _DAMAGE as error:
        raise UnavailableError(
            f"{path} is not a complete tar.gz archive ({error})", REMEDY
        ) from error


def _refused(path: Path, reason: str) -> UnavailableError:
    return UnavailableError(f"{path}: {reason}", REMEDY)
