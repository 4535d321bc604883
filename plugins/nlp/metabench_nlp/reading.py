"""Upstream files to Python, with errors that name the file, the line and the column."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metabench.errors import UnavailableError
from metabench.hookspecs import DataFile
from metabench.tasks.files import SourceContext

REMEDY = "get the upstream file again"


@dataclass(frozen=True)
class Upstream:
    """One file as it was found.

    Attributes:
        path: Where it lies.
        text: Its content.
        notes: Says so if it is not the file that upstream publishes.
    """

    path: Path
    text: str
    notes: tuple[str, ...] = field(default=())


def broken(path: Path, place: str, what: str) -> UnavailableError:
    """Describe a fault in an upstream file."""
    return UnavailableError(f"{path}: {place}: {what}", REMEDY)


def read(context: SourceContext, file: DataFile) -> Upstream:
    """Read a UTF-8 file and compare it with the declared digest.

    Args:
        context: Where files are found.
        file: The file.

    Returns:
        Its content, with a note if its SHA-256 is not the declared one.

    Raises:
        UnavailableError: If it is missing, cannot be read or is not UTF-8.
    """
    path = context.file(file.path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read ({error.strerror})", REMEDY) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise broken(path, f"line {line}, byte {column}", "not UTF-8") from error
    found = hashlib.sha256(raw).hexdigest()
    if not file.sha256 or found == file.sha256:
        return Upstream(path, text)
    return Upstream(path, text, (f"{file.path} differs from upstream: sha256 {found}",))


def parse_json(file: Upstream, kind: type) -> Any:
    """Parse a JSON file whose outermost value is a dict or a list.

    Args:
        file: What was read.
        kind: The expected type of the outermost value.

    Returns:
        The value.

    Raises:
        UnavailableError: If the JSON is broken or cut short, or of another type.
    """
    try:
        value = json.loads(file.text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise broken(file.path, place, f"not JSON ({error.msg})") from error
    except RecursionError as error:
        raise broken(file.path, "line 1", "JSON nested too deeply") from error
    if not isinstance(value, kind):
        found = type(value).__name__
        raise broken(file.path, "line 1", f"expected a {kind.__name__}, found a {found}")
    return value


def parse_csv(file: Upstream, columns: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Parse a CSV file with a header.

    Args:
        file: What was read.
        columns: The columns that are wanted.

    Yields:
        The line on which each row ends, and its values in the order of ``columns``.

    Raises:
        UnavailableError: If a column is missing from the header, a row has too few or too many
            fields or an empty value, or the file ends within a quoted field.
    """
    reader = csv.reader(io.StringIO(file.text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if missing := [name for name in columns if name not in header]:
            what = f"no column {missing[0]!r}; found {', '.join(header) or 'nothing'}"
            raise broken(file.path, "line 1", what)
        wanted = [header.index(name) for name in columns]
        for row in reader:
            if not row:
                continue
            place = f"line {reader.line_num}"
            if len(row) != len(header):
                what = f"{len(row)} fields for {len(header)} columns"
                if len(row) < len(header):
                    what += f", column {header[len(row)]!r} is missing"
                raise broken(file.path, place, what)
            values = tuple(row[position] for position in wanted)
            for name, value in zip(columns, values, strict=True):
                if not value.strip():
                    raise broken(file.path, f"{place}, column {name!r}", "empty")
            yield reader.line_num, values
    except csv.Error as error:
        raise broken(file.path, f"line {reader.line_num}", f"not CSV ({error})") from error
