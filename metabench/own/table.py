"""A table with a column of items and a column of labels, or of values for each task."""

from __future__ import annotations

import codecs
import csv
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from metabench.errors import UsageError, unknown_name
from metabench.hookspecs import ReaderInfo
from metabench.own.data import FILE_ROLE, OwnData, flag, pathname
from metabench.own.folder import SPLIT_NAMES, inside
from metabench.own.listing import FolderFiles
from metabench.own.readers import choose_by_files, choose_by_role, suffix_of
from metabench.own.rows import (
    UNLABELLED,
    IntArray,
    Places,
    Rows,
    counted,
    listed,
    settle_similar,
)

FORMATS = (".csv", ".tsv", ".parquet", ".jsonl")
SEPARATORS = (",", ";", "\t")
TRUTH: Mapping[str, str] = {"true": "1", "false": "0", "yes": "1", "no": "0"}
MOST_COLUMNS = 20
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

Columns = Mapping[str, "pd.Series[Any]"]


def read_table(
    own: OwnData, readers: Sequence[ReaderInfo], *, items: bool = True
) -> tuple[Rows, ReaderInfo]:
    """Read a table and find the reader of its items.

    Args:
        own: Names the table and its columns.
        readers: Those that are installed.
        items: Whether the items are wanted too, and not only what is said of them.

    Returns:
        The rows that have a label, or a value of any task, and the reader.

    Raises:
        UsageError: If the table cannot be read, a column is missing, or the labels are unusable.
    """
    assert own.data_table is not None
    path = own.data_table
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"{pathname(path)}: tables are {', '.join(FORMATS)}, not {path.suffix or 'that'}"
        )
    if not path.is_file():
        raise UsageError(f"{pathname(path)} does not exist")
    role, column = the_role(own, lambda: _header(path, own.encoding))
    what_is_labelled(own)
    named = list(filter(None, (column, own.label, *own.targets, own.group, own.split_column)))
    _check_columns(path, named, own.encoding)
    wanted = named if items or role == FILE_ROLE else named[1:]
    table = _read(path, list(dict.fromkeys(wanted)), own.encoding)
    first = 2 if path.suffix.lower() in {".csv", ".tsv"} else 1  # the header is row 1
    status = path.stat()
    rows = labelled_rows(own, table, first)
    rows.files, rows.digest = (path,), f"{status.st_size} {status.st_mtime_ns}"
    if role != FILE_ROLE:
        reader = choose_by_role(own, role, readers)
        if items:
            rows.items = table[column].iloc[_numbers(rows, first)].tolist()
        return rows, reader
    paths: list[str] = table[column].iloc[_numbers(rows, first)].tolist()
    rows.suffix_counts = Counter(map(suffix_of, paths))
    reader = choose_by_files(own, rows.suffix_counts, readers)
    for written, place in zip(paths, rows.places, strict=True):
        inside(path.parent, written, f"{path.name}, {place}")
    rows.items, rows.places = FolderFiles(path.parent, paths), paths
    return rows, reader


def the_role(own: OwnData, columns: Callable[[], Sequence[str]]) -> tuple[str, str]:
    """Return the role and the column of the items.

    Args:
        own: What was said.
        columns: Names the columns, for the message.

    Raises:
        UsageError: If none is named, or several are.
    """
    if len(own.roles) == 1:
        return next(iter(own.roles.items()))
    if own.roles:
        said = " and ".join(f"--{role} {name}" for role, name in own.roles.items())
        raise UsageError(f"{said}: a run reads one column of items")
    known = listed(columns(), MOST_COLUMNS)
    raise UsageError(
        f"{own.place}: say which column holds the items, with --text, --smiles or --file (paths); "
        f"its columns are {known}"
    )


def what_is_labelled(own: OwnData) -> None:
    """Refuse labels and targets both, or neither.

    Raises:
        UsageError: If so.
    """
    if bool(own.label) == bool(own.targets):
        what = "either --label or --targets" if own.label else "--label COLUMN (classes) or "
        what += "" if own.label else "--targets A,B (a column of values for each task)"
        raise UsageError(f"{own.place}: say {what}, not {'both' if own.label else 'neither'}")


def labelled_rows(own: OwnData, table: Columns, first: int) -> Rows:
    """Take the labels, targets, groups and splits of a table's columns.

    Args:
        own: Names the columns.
        table: They, as text; blank where there is nothing.
        first: The number of the first row, for messages.

    Returns:
        The rows that have a label or a value; without items.
    """
    count = len(next(iter(table.values())))
    if own.targets:
        values = {name: _numeric(table[name], f"{own.place}, column {name!r}", first)
                  for name in own.targets}  # fmt: skip
        used = ~np.all([np.isnan(column) for column in values.values()], axis=0)
        rows = Rows((), Places(np.flatnonzero(used) + first))
        rows.targets = {name: column[used] for name, column in values.items()}
        what = "without a value of any task"
    else:
        names, labels = _classes(table[own.label])
        used = labels >= 0
        names, labels, notes = settle_similar(names, labels, own)
        rows = Rows((), Places(np.flatnonzero(used) + first), names, labels[used], notes=notes)
        what = "without a label"
    if not used.any():
        raise UsageError(f"{own.place}: none of its {counted(count, 'row')} has a label")
    if left := count - int(used.sum()):
        where = listed(f"row {n + first}" for n in np.flatnonzero(~used))
        rows.notes.append(f"{counted(left, 'row')} {what} left out: {where}")
    if own.group:
        rows.groups = table[own.group].loc[used].str.strip().tolist()
    if own.split_column:
        if own.targets:
            raise UsageError(
                "--split-column is for classes; give the split of tasks by --split-file"
            )
        rows.splits = _splits(rows, table[own.split_column].loc[used].tolist(), own.split_column)
    return rows


def _numbers(rows: Rows, first: int) -> IntArray:
    assert isinstance(rows.places, Places)
    return rows.places.rows - first


def _classes(column: pd.Series[Any]) -> tuple[tuple[str, ...], IntArray]:
    """Sorted classes, and the position of each row's; -1 where it is blank."""
    codes, found = pd.factorize(column)
    written = [str(name) for name in found]
    names = sorted(name for name in written if name.strip())
    number = {name: position for position, name in enumerate(names)}
    place = np.array([number.get(name, UNLABELLED) for name in written], dtype=np.int64)
    return tuple(names), np.where(codes >= 0, place[codes], UNLABELLED)


def _splits(rows: Rows, written: Sequence[str], column: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for label, split, place in zip(rows.labels, written, rows.places, strict=True):
        name = rows.names[label]
        own = SPLIT_NAMES.get(split.strip().lower())
        if own is None:
            raise UsageError(
                f"{place}, column {column!r}: {split!r} is no split; write train, val or test"
            )
        if found.setdefault(name, own) != own:
            raise UsageError(
                f"{place}, column {column!r}: class {name!r} is in {found[name]} and in {own}; "
                "few-shot splits hold different classes: leave --split-column out, and whole "
                "classes are split"
            )
    return found


def _numeric(column: pd.Series[Any], place: str, first: int) -> npt.NDArray[np.float64]:
    text = column.str.strip().str.lower().replace(dict(TRUTH))
    values = pd.to_numeric(text, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = np.flatnonzero((text != "").to_numpy() & ~np.isfinite(values))
    if len(wrong):
        row = int(wrong[0])
        raise UsageError(
            f"{place}, row {row + first}: {column.iloc[row]!r} is neither a number nor blank"
        )
    return values


def _read(path: Path, columns: list[str], encoding: str) -> dict[str, pd.Series[Any]]:
    """Read columns as text, blank where there is nothing."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            frame = pd.read_parquet(path, columns=columns, dtype_backend="numpy_nullable")
            return {name: _text(frame[name]) for name in columns}
        if suffix == ".jsonl":
            return _read_lines(path, columns, encoding)
        return _read_csv(path, columns, encoding)
    except UnicodeDecodeError as error:
        raise _not_decodable(path, encoding) from error
    except _UNREADABLE as error:
        raise UsageError(
            f"{pathname(path)} cannot be read: {str(error).strip().splitlines()[0]}"
        ) from error


def _check_columns(path: Path, columns: Sequence[str], encoding: str) -> None:
    known = _header(path, encoding)
    for name in columns:
        if name not in known:
            raise UsageError(f"{pathname(path)}: {unknown_name('column', name, known)}")


def _text(column: pd.Series[Any]) -> pd.Series[Any]:
    return column.astype("string").fillna("").astype(str)


def _header(path: Path, encoding: str) -> list[str]:
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            import pyarrow.parquet  # noqa: PLC0415 - pandas needs it for these files alone

            return [str(name) for name in pyarrow.parquet.read_schema(path).names]
        if suffix == ".jsonl":
            keys: dict[str, None] = {}
            for _, row in itertools.islice(_json_rows(path, encoding), MOST_KEYS):
                keys.update(dict.fromkeys(row))
            return list(keys)
        _, header = next(_csv_rows(path, encoding), (0, []))
    except UnicodeDecodeError as error:
        raise _not_decodable(path, encoding) from error
    except _UNREADABLE as error:
        raise UsageError(
            f"{pathname(path)} cannot be read: {str(error).strip().splitlines()[0]}"
        ) from error
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
            value = row.get(name)
            values[name].append("" if value is None else str(value))
    return {name: pd.Series(found, dtype=object) for name, found in values.items()}
