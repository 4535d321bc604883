"""The columns of a table's file, as text."""

from __future__ import annotations

import codecs
import contextlib
import csv
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from metabench.errors import UsageError, unknown_name
from metabench.own.data import flag, pathname

FORMATS = (".csv", ".tsv", ".parquet", ".jsonl")
SEPARATORS = (",", ";", "\t")
MOST_KEYS = 1000
"""Rows of JSON whose keys are taken for the columns."""
SHORT, MANY = 64, 100_000
"""Characters of a value that may repeat, and how many of them are remembered."""
MAX_FIELD = 16 * 1024**2
"""Characters of one value."""
_UNREADABLE = (
    csv.Error,
    OSError,
    ValueError,
    ImportError,  # pyarrow, for .parquet
)


@contextlib.contextmanager
def _refusing(path: Path, encoding: str) -> Iterator[None]:
    """Say in one line why a table cannot be read."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise _not_decodable(path, encoding) from error
    except _UNREADABLE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(f"{pathname(path)} cannot be read: {reason}") from error


def read_columns(path: Path, columns: list[str], encoding: str) -> dict[str, pd.Series[Any]]:
    """Read columns of a table as text, blank where there is nothing.

    Args:
        path: The table.
        columns: Which ones; they exist.
        encoding: Of the file.

    Raises:
        UsageError: If the file is damaged or in another encoding; the message says where.
    """
    suffix = path.suffix.lower()
    with _refusing(path, encoding):
        if suffix == ".parquet":
            frame = pd.read_parquet(path, columns=columns, dtype_backend="numpy_nullable")
            return {name: _text(frame[name]) for name in columns}
        if suffix == ".jsonl":
            return _read_lines(path, columns, encoding)
        return _read_csv(path, columns, encoding)


def check_columns(path: Path, columns: Sequence[str], encoding: str) -> None:
    """Make sure that a table has columns.

    Raises:
        UsageError: If one is missing, with the nearest name.
    """
    known = column_names(path, encoding)
    for name in columns:
        if name not in known:
            raise UsageError(f"{pathname(path)}: {unknown_name('column', name, known)}")


def _text(column: pd.Series[Any]) -> pd.Series[Any]:
    return column.astype("string").fillna("").astype(str)


def column_names(path: Path, encoding: str) -> list[str]:
    """Return the names of a table's columns.

    Raises:
        UsageError: If the table is empty or cannot be read.
    """
    suffix = path.suffix.lower()
    with _refusing(path, encoding):
        if suffix == ".parquet":
            import pyarrow.parquet  # noqa: PLC0415 - pandas needs it for these files alone

            return [str(name) for name in pyarrow.parquet.read_schema(path).names]
        if suffix == ".jsonl":
            keys: dict[str, None] = {}
            for _, row in itertools.islice(_json_rows(path, encoding), MOST_KEYS):
                keys.update(dict.fromkeys(row))
            return list(keys)
        _, header = next(_csv_rows(path, encoding), (0, []))
    if not header:
        raise UsageError(f"{pathname(path)} is empty")
    return header


def _separator(path: Path, encoding: str) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    with path.open(encoding=_codec(encoding), newline="") as file:
        header = file.readline()
    return max(SEPARATORS, key=header.count)


def _csv_rows(path: Path, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, the header first, each with its last line's number."""
    csv.field_size_limit(MAX_FIELD)
    separator = _separator(path, encoding)
    with path.open(encoding=_codec(encoding), newline="") as file:
        reader = csv.reader(file, delimiter=separator, strict=True)
        try:
            for row in reader:
                if row:
                    yield reader.line_num, row
        except csv.Error as error:
            raise csv.Error(f"line {reader.line_num}: {error}") from error


def _read_csv(path: Path, columns: Sequence[str], encoding: str) -> dict[str, pd.Series[Any]]:
    """Read columns strictly: a row of too many fields has a separator inside a value.

    `pandas.read_csv` passes over such rows where columns are chosen, and would shift their values.
    """
    rows = _csv_rows(path, encoding)
    _, header = next(rows)
    if twice := [name for name in columns if header.count(name) > 1]:
        raise UsageError(f"{pathname(path)}: the column {twice[0]!r} comes twice")
    places = [header.index(name) for name in columns]
    values: list[list[str]] = [[] for _ in columns]
    same: dict[str, str] = {}  # equal labels are held once
    for line, row in rows:
        if len(row) != len(header):
            raise UsageError(
                f"{pathname(path)}: line {line}: {len(row)} fields for {len(header)} columns; a "
                "value that holds the separator has to stand in double quotes"
            )
        for column, place in zip(values, places, strict=True):
            value = row[place]
            column.append(same.setdefault(value, value) if len(value) < SHORT else value)
        if len(same) > MANY:
            same.clear()
    return {
        name: pd.Series(column, dtype=object) for name, column in zip(columns, values, strict=True)
    }


def _codec(encoding: str) -> str:
    """Return a codec; UTF-8 with or without the mark that spreadsheets write."""
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise UsageError(
            f"--encoding {encoding!r} is unknown; common ones are utf-8, latin-1, cp1252, utf-16"
        ) from None
    return "utf-8-sig" if name == "utf-8" else name


def _not_decodable(path: Path, encoding: str) -> UsageError:
    """Find the first byte that is not of an encoding."""
    place = "somewhere"
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                place = f"line {number}, byte {error.start + 1}"
                break
    return UsageError(
        f"{pathname(path)}: {place}: not {encoding.upper()}; say which encoding it is in, such as "
        f"{flag('encoding')} cp1252 or {flag('encoding')} latin-1"
    )


def _json_rows(path: Path, encoding: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding=_codec(encoding)) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UsageError(f"{pathname(path)}: line {number}: not JSON ({error})") from error
            if not isinstance(row, dict):
                raise UsageError(
                    f"{pathname(path)}: line {number}: {type(row).__name__}, and no object"
                )
            yield number, row


def _read_lines(path: Path, columns: list[str], encoding: str) -> dict[str, pd.Series[Any]]:
    values: dict[str, list[str]] = {name: [] for name in columns}
    for _, row in _json_rows(path, encoding):
        for name in columns:
            values[name].append(_written(row.get(name)))
    return {name: pd.Series(found, dtype=object) for name, found in values.items()}


def _written(value: object) -> str:
    """Return a value of JSON as text: nothing for null and NaN, and 1 for 1.0 as well."""
    if value is None or value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
