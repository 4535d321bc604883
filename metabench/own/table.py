"""A table with a column of items and a column of labels, or of values for each task."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from metabench.errors import UsageError
from metabench.hookspecs import ReaderInfo
from metabench.own.columns import FORMATS, check_columns, column_names, read_columns
from metabench.own.data import FILE_ROLE, OwnData, pathname
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
    printable,
    settle_similar,
)

TRUTH: Mapping[str, str] = {"true": "1", "false": "0", "yes": "1", "no": "0"}
MOST_COLUMNS = 20

Columns = Mapping[str, "pd.Series[Any]"]


def read_table(own: OwnData, readers: Sequence[ReaderInfo]) -> tuple[Rows, ReaderInfo]:
    """Read a table and find the reader of its items.

    Args:
        own: Names the table and its columns.
        readers: Those that are installed.

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
    role, column = the_role(own, lambda: column_names(path, own.encoding))
    what_is_labelled(own)
    named = list(filter(None, (column, own.label, *own.targets, own.group, own.split_column)))
    check_columns(path, named, own.encoding)
    table = read_columns(path, list(dict.fromkeys(named)), own.encoding)
    first = 2 if path.suffix.lower() in {".csv", ".tsv"} else 1  # the header is row 1
    status = path.stat()
    there = (table[column].str.strip() != "").to_numpy() if role == FILE_ROLE else None
    rows = labelled_rows(own, table, first, there)
    rows.files, rows.digest = (path,), f"{status.st_size} {status.st_mtime_ns}"
    if role != FILE_ROLE:
        reader = choose_by_role(own, role, readers)
        rows.items = table[column].iloc[_numbers(rows, first)].tolist()
        return rows, reader
    paths: list[str] = table[column].iloc[_numbers(rows, first)].tolist()
    rows.suffix_counts = Counter(map(suffix_of, paths))
    rows.digest += f" {_state_of(path.parent, paths)}"
    reader = choose_by_files(own, rows.suffix_counts, readers)
    for written, place in zip(paths, rows.places, strict=True):
        inside(path.parent, written, f"{path.name}, {place}")
    rows.items, rows.places = FolderFiles(path.parent, paths), [printable(p) for p in paths]
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


def labelled_rows(
    own: OwnData, table: Columns, first: int, there: npt.NDArray[np.bool_] | None = None
) -> Rows:
    """Take the labels, targets, groups and splits of a table's columns.

    Args:
        own: Names the columns.
        table: They, as text; blank where there is nothing.
        first: The number of the first row, for messages.
        there: ``[n]`` whether a row names a file; ``None`` if it need not.

    Returns:
        The rows that have a label or a value; without items.
    """
    count = len(next(iter(table.values())))
    fileless = ""
    if there is not None and not there.all():
        fileless = "without a file or "
        table = {name: column.where(there, "") for name, column in table.items()}
    if own.targets:
        values = {name: _numeric(table[name], f"{own.place}, column {name!r}", first)
                  for name in own.targets}  # fmt: skip
        used = ~np.all([np.isnan(column) for column in values.values()], axis=0)
        rows = Rows((), Places(np.flatnonzero(used) + first))
        rows.targets = {name: column[used] for name, column in values.items()}
        what = f"{fileless}without a value of any task"
    else:
        names, labels = _classes(table[own.label])
        used = labels >= 0
        names, labels, notes = settle_similar(names, labels, own)
        rows = Rows((), Places(np.flatnonzero(used) + first), names, labels[used], notes=notes)
        what = f"{fileless}without a label"
    if not used.any():
        also = " and a file" if fileless else ""
        raise UsageError(f"{own.place}: none of its {counted(count, 'row')} has a label{also}")
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


def _state_of(folder: Path, paths: Sequence[str]) -> str:
    """Change with the name, size or time of any file that a table names."""
    sha = hashlib.sha256()
    for name in paths:
        try:
            status = (folder / name).stat()
            sha.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
        except (OSError, ValueError):
            sha.update(f"{name}\0missing\0".encode(errors="replace"))
    return sha.hexdigest()
