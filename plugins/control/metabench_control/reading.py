"""Upstream files to arrays, with errors that name the file and the place."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from metabench.errors import UnavailableError
from metabench.hookspecs import DataFile
from metabench.tasks.files import SourceContext
from metabench_control.matfile import variables

Floats = npt.NDArray[np.float64]

REMEDY = "get the upstream file again"
LARGEST_FILE = 64 * 1024**2
LARGEST_NUMBER = 1e9
"""In size; what is larger is damage, and would overflow once it is scaled."""


@dataclass(frozen=True)
class Upstream:
    """One file as it was found.

    Attributes:
        path: Where it lies.
        content: Its bytes.
        notes: Says so if it is not the file that upstream publishes.
    """

    path: Path
    content: bytes
    notes: tuple[str, ...]


def broken(path: Path, place: str, what: str) -> UnavailableError:
    """Describe a fault in an upstream file."""
    return UnavailableError(f"{path}: {place}: {what}", REMEDY)


def read(context: SourceContext, file: DataFile) -> Upstream:
    """Read a file and compare it with the declared digest.

    Raises:
        UnavailableError: If it is missing, unreadable, or larger than `LARGEST_FILE`.
    """
    path = context.file(file.path)
    try:
        if (size := path.stat().st_size) > LARGEST_FILE:
            raise broken(path, f"byte {LARGEST_FILE}", f"{size} bytes are too many")
        content = path.read_bytes()
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read ({error.strerror})", REMEDY) from error
    found = hashlib.sha256(content).hexdigest()
    same = not file.sha256 or found == file.sha256
    notes = () if same else (f"{file.path} differs from upstream: sha256 {found}",)
    return Upstream(path, content, notes)


def mat_matrix(file: Upstream, name: str, columns: int) -> Floats:
    """Read one real matrix of a MATLAB file (versions 5 to 7).

    Args:
        file: What was read.
        name: The variable.
        columns: How many columns it has to have.

    Returns:
        ``[n, columns]`` numbers up to `LARGEST_NUMBER` in size.

    Raises:
        UnavailableError: If the file is damaged or the variable is not such a matrix.
    """
    place = f"variable {name!r}"
    try:
        held = {found.name: found for found in variables(file.content, LARGEST_FILE)}
        if name not in held:
            raise broken(file.path, place, f"missing; found {', '.join(held) or 'nothing'}")
        shape, kind = held[name].shape, held[name].kind
        if kind != "double" or len(shape) != 2 or shape[1] != columns or shape[0] < 1:  # noqa: PLR2004
            what = f"expected doubles [n, {columns}], found {kind} {list(shape)}"
            raise broken(file.path, place, what)
        matrix = held[name].matrix()
    except ValueError as error:
        raise broken(file.path, place, f"not a readable MATLAB file ({error})") from error
    if (odd := np.argwhere(~(np.abs(matrix) <= LARGEST_NUMBER))).size:
        row, column = odd[0]
        what = f"{matrix[row, column]} is no number up to {LARGEST_NUMBER:g}"
        raise broken(file.path, f"{place}, row {row}, column {column}", what)
    return np.ascontiguousarray(matrix)


def csv_columns(file: Upstream, names: Sequence[str]) -> Floats:
    """Read columns of numbers of a CSV file with a header.

    Args:
        file: What was read.
        names: The columns; others may be incomplete.

    Returns:
        ``[n, len(names)]`` numbers up to `LARGEST_NUMBER` in size.

    Raises:
        UnavailableError: If a column is missing or a value is no such number.
    """
    try:
        text = file.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = file.content.count(b"\n", 0, error.start) + 1
        raise broken(file.path, f"line {line}", "not UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[list[float]] = []
    try:
        header = next(reader, [])
        if missing := [name for name in names if name not in header]:
            what = f"no column {missing[0]!r}; found {', '.join(header) or 'nothing'}"
            raise broken(file.path, "line 1", what)
        wanted = [header.index(name) for name in names]
        for fields in reader:
            if not fields:
                continue
            place = f"line {reader.line_num}"
            if len(fields) != len(header):
                what = f"{len(fields)} fields for {len(header)} columns"
                raise broken(file.path, place, what)
            values = [(name, fields[at]) for name, at in zip(names, wanted, strict=True)]
            rows.append([_value(file.path, place, name, value) for name, value in values])
    except csv.Error as error:
        raise broken(file.path, f"line {reader.line_num}", f"not CSV ({error})") from error
    return np.array(rows, dtype=np.float64).reshape(-1, len(names))


def _value(path: Path, place: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST_NUMBER:
        what = f"{text!r} is no number up to {LARGEST_NUMBER:g}"
        raise broken(path, f"{place}, column {name!r}", what)
    return value
