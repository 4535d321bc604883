"""A data set of the Hugging Face hub, or a folder in a layout of theirs, through `datasets`.

Lhoest et al., "Datasets: a community library for natural language processing", EMNLP 2021. Files
are handed to metabench's readers undecoded: the same file gives the same inputs wherever it lies,
and no torchcodec is needed. `datasets` runs no code of a data set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd

from metabench.errors import UnavailableError, UsageError, unknown_name
from metabench.hookspecs import ReaderInfo
from metabench.own.data import FILE_ROLE, OwnData
from metabench.own.folder import SPLIT_NAMES, splits_of
from metabench.own.listing import list_files
from metabench.own.readers import choose_by_role
from metabench.own.rows import Places, Rows, listed
from metabench.own.table import MOST_COLUMNS, labelled_rows, the_role, what_is_labelled

Features = Mapping[str, Any]


def read_hub(own: OwnData, readers: Sequence[ReaderInfo]) -> tuple[Rows, ReaderInfo]:
    """Load a data set and find the reader of its items.

    All splits are put together, train first. The column of items is the one of the features
    ``Image`` or ``Audio``, or the one that is named; that of labels is the one named, or ``label``,
    or the only one with class names.

    Args:
        own: Names the data set.
        readers: Those that are installed.

    Returns:
        The rows that have a label, and the reader.

    Raises:
        UnavailableError: If the data set cannot be had.
        UsageError: If a column is missing.
    """
    parts = _load(own.hf_dataset)
    names = sorted(parts, key=lambda name: (_rank(name), name))
    features: Features = parts[names[0]].features
    column, reader = _items_column(own, features, readers)
    own = own if own.label or own.targets else own.model_copy(update={"label": _label(features)})
    what_is_labelled(own)
    wanted = list(
        dict.fromkeys(filter(None, (own.label, *own.targets, own.group, own.split_column)))
    )
    for name in wanted:
        if name not in features:
            raise UsageError(f"{own.place}: {unknown_name('column', name, features)}")
    kind = type(features[column]).__name__
    read = [*wanted, column] if kind == "Value" and column not in wanted else wanted
    frames = [_frame(parts[name], read) for name in names]
    table = {name: pd.concat([frame[name] for frame in frames], ignore_index=True) for name in read}
    rows = labelled_rows(own, table, first=0)
    assert isinstance(rows.places, Places)
    used = rows.places.rows
    if (
        rows.splits is None
        and not own.targets
        and len(names) > 1
        and set(names) <= set(SPLIT_NAMES)
    ):
        split_of_row = np.repeat(names, [len(parts[name]) for name in names])[used]
        rows.splits, note = splits_of((rows.names[label] for label in rows.labels), split_of_row)
        rows.notes.append(note)
    rows.items = (
        table[column].iloc[used].tolist()
        if kind == "Value"
        else _Files([parts[name] for name in names], column, used.tolist())
    )
    rows.digest = _digest(own.hf_dataset, parts)
    return rows, reader


def _load(name: str) -> Mapping[str, Any]:
    try:
        import datasets  # noqa: PLC0415 - a second and a half that only this path needs
    except ImportError as error:
        raise UnavailableError(
            f"--hf-dataset {name} needs the module datasets, which is not installed",
            "pip install datasets",
        ) from error
    local = Path(name).is_dir()
    base, _, revision = (name, "", "") if local else name.partition("@")
    datasets.disable_progress_bars()
    # datasets raises the errors of fsspec, pyarrow, httpx and its own for one and the same fault.
    try:
        if local and any((Path(name) / each).is_file() for each in _SAVED):
            found = datasets.load_from_disk(name)
        else:
            found = datasets.load_dataset(base, revision=revision or None)
    except Exception as error:
        cause = error.__cause__ or error
        lines = str(cause).strip().splitlines() or [type(cause).__name__]
        raise UnavailableError(
            f"data set {name!r} cannot be loaded ({lines[0]})",
            "a folder of files is also read by --data-folder, a table by --data-table"
            if local
            else "check the name, and the connection",
        ) from error
    return found if isinstance(found, Mapping) else {"train": found}


_SAVED = ("dataset_dict.json", "state.json")
"""What ``save_to_disk`` leaves."""


def _rank(split: str) -> int:
    return ["train", "val", "test"].index(SPLIT_NAMES.get(split, "test"))


def _items_column(
    own: OwnData, features: Features, readers: Sequence[ReaderInfo]
) -> tuple[str, ReaderInfo]:
    """Find the column of items and its reader; ``Image`` and ``Audio`` say the modality."""
    by_modality = {reader.modality: reader for reader in readers if reader.suffixes}
    files = {name: type(feature).__name__.lower() for name, feature in features.items()}
    files = {name: kind for name, kind in files.items() if kind in by_modality}
    if not own.roles and len(files) == 1:
        (name,) = files
        return name, by_modality[files[name]]
    role, name = the_role(own, lambda: list(features))
    if name not in features:
        raise UsageError(f"{own.place}: {unknown_name('column', name, features)}")
    if role != FILE_ROLE:
        return name, choose_by_role(own, role, readers)
    if name not in files:
        raise UsageError(f"{own.place}: column {name!r} holds no files: {features[name]}")
    return name, by_modality[files[name]]


def _label(features: Features) -> str:
    named = [name for name, feature in features.items() if hasattr(feature, "int2str")]
    if "label" in features:
        return "label"
    if len(named) == 1:
        return named[0]
    raise UsageError(
        f"say which column holds the classes, with --label; there are "
        f"{listed(features, MOST_COLUMNS)}"
    )


def _frame(part: Any, columns: list[str]) -> dict[str, pd.Series[Any]]:
    """Read columns as text, classes by their names, blank where there is nothing."""
    frame = part.select_columns(columns).to_pandas()
    found = {}
    for name in columns:
        feature, column = part.features[name], frame[name]
        if hasattr(feature, "int2str"):
            known = dict(enumerate(feature.names))
            column = column.map(lambda value, known=known: known.get(value, ""))
        found[name] = column.astype("string").fillna("").astype(str)
    return found


class _Files(Sequence[bytes]):
    """The undecoded files of a column; one is read when it is asked for."""

    def __init__(self, parts: Sequence[Any], column: str, rows: Sequence[int]) -> None:
        kind = type(parts[0].features[column])
        self._parts = [part.cast_column(column, kind(decode=False)) for part in parts]
        self._column = column
        self._rows = rows
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        row = self._rows[index]
        part = int(np.searchsorted(self._ends, row, side="right"))
        start = int(self._ends[part - 1]) if part else 0
        value = self._parts[part][row - start][self._column] or {}
        if value.get("bytes") is not None:
            return bytes(value["bytes"])
        path = Path(value.get("path") or "")
        return path.read_bytes() if path.is_file() else b""


def _digest(name: str, parts: Mapping[str, Any]) -> str:
    """Change with the data, as far as that can be told without reading all."""
    told = [(split, len(part), sorted(f["filename"] for f in part.cache_files))
            for split, part in sorted(parts.items())]  # fmt: skip
    local = list_files(Path(name)).digest if Path(name).is_dir() else ""
    return hashlib.sha256(f"{told} {local}".encode()).hexdigest()
