"""Upstream files to Python, with errors that name the file and the line."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from metabench.errors import UnavailableError
from metabench.hookspecs import DataFile
from metabench.tasks.files import MAX_MEMBER_BYTES, SourceContext

REMEDY = "get the upstream file again"
_TAR_END = 1024
"""Bytes of zeros that end a tar archive; without them it may have been cut between members."""


def broken(place: str, what: str) -> UnavailableError:
    """Describe a fault in an upstream file."""
    return UnavailableError(f"{place}: {what}", REMEDY)


def read(context: SourceContext, file: DataFile, notes: list[str]) -> tuple[Path, str]:
    """Read a UTF-8 file.

    Args:
        context: Where files are found.
        file: The file.
        notes: Receives a note if its SHA-256 is not the declared one.

    Returns:
        Where it lies, and its content.

    Raises:
        UnavailableError: If it is missing, cannot be read or is not UTF-8.
    """
    path = context.file(file.path)
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise broken(str(path), f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise broken(f"{path}: byte {error.start}", "not UTF-8") from error
    found = hashlib.sha256(raw).hexdigest()
    if file.sha256 and found != file.sha256:
        notes.append(f"{file.path} differs from upstream: sha256 {found}")
    return path, text


def parse_json(path: Path, text: str) -> Any:
    """Parse a JSON file.

    Raises:
        UnavailableError: If it is broken or cut short.
    """
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise broken(str(path), f"not JSON ({error})") from error


def parse_csv(
    path: Path, text: str, columns: Sequence[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Parse a CSV file with a header.

    Args:
        path: The file, for errors.
        text: Its content.
        columns: The columns that must exist.

    Yields:
        The place of each row, and its values by column.

    Raises:
        UnavailableError: If a column is missing or comes twice, a row has too few or too many
            fields, or the file ends within a quoted field.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if missing := [name for name in columns if name not in header]:
            found = ", ".join(header) or "nothing"
            raise broken(f"{path}: line 1", f"no column {missing[0]!r}; found {found}")
        if len(set(header)) != len(header):
            raise broken(f"{path}: line 1", "a column comes twice")
        for row in reader:
            if not row:
                continue
            place = f"{path}: line {reader.line_num}"
            if len(row) != len(header):
                raise broken(place, f"{len(row)} fields for {len(header)} columns")
            yield place, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise broken(f"{path}: line {reader.line_num}", f"not CSV ({error})") from error


def tar_members(path: Path, suffix: str) -> Iterator[tuple[str, bytes]]:
    """Read the members of a tar archive, in its order, without extracting it.

    Args:
        path: The archive, not compressed as a whole.
        suffix: Only regular files whose names end so.

    Yields:
        Each member's name and bytes.

    Raises:
        UnavailableError: If the archive is damaged or cut short, or a member is unreasonably large;
            the message names the last member that was read.
    """
    last = "the beginning"
    try:
        with path.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(suffix):
                    if member.size > MAX_MEMBER_BYTES:
                        raise broken(f"{path}: {member.name}", f"has {member.size} bytes")
                    content = archive.extractfile(member)
                    assert content is not None
                    yield member.name, content.read()
                last = member.name
            stream.seek(archive.offset)
            if stream.read(_TAR_END).strip(b"\0") or stream.tell() < archive.offset + _TAR_END:
                raise broken(f"{path}: after {last}", "the archive is cut short")
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise broken(f"{path}: after {last}", f"no complete tar archive ({error})") from error


def json_lines(place: str, packed: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Parse a gzip file of one JSON object per line.

    Args:
        place: The file, for errors.
        packed: Its bytes.

    Yields:
        The place of each line, and the object.

    Raises:
        UnavailableError: If the file is cut short, damaged or unreasonably large, or a line is not
            a JSON object.
    """
    try:
        with gzip.open(io.BytesIO(packed)) as stream:
            raw = stream.read(MAX_MEMBER_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise broken(place, f"no complete gzip file ({error})") from error
    if len(raw) > MAX_MEMBER_BYTES:
        raise broken(place, f"unpacks to more than {MAX_MEMBER_BYTES} bytes")
    for number, line in enumerate(raw.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{place}: line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise broken(where, f"not JSON ({error})") from error
        if not isinstance(value, dict):
            raise broken(where, f"expected a JSON object, found a {type(value).__name__}")
        yield where, value
