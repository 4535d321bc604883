"""A user's own data as a task source of the catalogue. Needs no torch."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import metabench
from metabench.errors import MetabenchError, UsageError
from metabench.hookspecs import ReaderInfo, TaskKind, TaskSourceInfo
from metabench.own.data import OwnData
from metabench.own.plan import Plan, distinct, make_plan, settings, task_kind
from metabench.own.read import read_rows
from metabench.own.rows import Rows, counted
from metabench.registry.candidates import CORE
from metabench.registry.catalogue import Catalogue, Entry
from metabench.registry.checks import NAME
from metabench.registry.targets import code_digest

TARGET = "metabench.own.source:own_data"
METRICS: Mapping[TaskKind, tuple[str, tuple[str, ...]]] = {
    "classification": ("accuracy", ()),
    "binary": ("auroc", ("average-precision",)),
    "regression": ("nmse", ("r2",)),
}


@dataclass(frozen=True)
class Wanted:
    """What the run asks of episodes, which own data are fitted to.

    Attributes:
        suite: The suite's name.
        shots: Support examples per class.
        way: Classes per episode.
        query: Queries per class.
    """

    suite: str
    shots: tuple[int | str, ...]
    way: int | str
    query: int


@dataclass(frozen=True)
class Described:
    """Own data in the catalogue.

    Attributes:
        catalogue: What is installed, and the own data.
        name: The name of the own data.
        said: What was recognised and decided, a line each.
    """

    catalogue: Catalogue
    name: str
    said: tuple[str, ...]


def describe(own: OwnData, catalogue: Catalogue, wanted: Wanted) -> Described:
    """Look at own data, without decoding them, and put them into the catalogue.

    Args:
        own: What the user names.
        catalogue: What is installed.
        wanted: What the run asks of episodes.

    Returns:
        A catalogue with one source more.

    Raises:
        MetabenchError: If the data cannot be used; the message says why and what to do.
    """
    readers = _readers(catalogue)
    rows, reader = read_rows(own, readers)
    entry = next(e for e in catalogue.readers.values() if e.info.name == reader.name)
    plan = make_plan(own, rows)
    kind: TaskKind = task_kind(rows)  # type: ignore[assignment]
    left = distinct(rows, plan)
    fitted, fitted_notes = settings(
        kind, left.sizes, wanted.shots, wanted.way, wanted.query,
        groups=left.groups, grouped=rows.groups is not None,
    )  # fmt: skip
    name = _name(own, catalogue)
    found = _found(own, rows, reader, plan)
    options: dict[str, Any] = {
        "own": own.to_json(),
        "reader": _plain(reader) | {"version": entry.version, "code": _code(reader)},
        "state": rows.digest,
        "words": own.words,
        "notes": [found, *fitted_notes],
    }
    metric, others = METRICS[kind]
    info = TaskSourceInfo(
        name=name,
        summary=found,
        target=TARGET,
        options=options,
        requires=reader.requires,
        domain=reader.domain,
        modality=reader.modality,
        task_kind=kind,
        metric=metric,
        other_metrics=others,
        protocol={"group_disjoint": True} if own.group else {},
        suites={wanted.suite: fitted},
    )
    added = Entry(info, CORE, metabench.__version__)
    sources = {**catalogue.sources, name: added}
    said = (found, *rows.notes, *plan.notes, *fitted_notes)
    return Described(replace(catalogue, sources=sources), name, said)


def _name(own: OwnData, catalogue: Catalogue) -> str:
    """Make a name from that of the folder, the file or the data set."""
    base = own.hf_dataset.partition("@")[0] if own.hf_dataset else own.place
    if own.hf_dataset.startswith("/") or own.data_folder or own.data_table:
        base = own.place
    base = re.sub(r"\.(zip|csv|tsv|parquet|jsonl)$", "", base, flags=re.IGNORECASE)
    plain = unicodedata.normalize("NFKD", base).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9._+-]+", "-", plain).strip("-._+")
    name = name if NAME.fullmatch(name) else "own-data"
    return f"{name}-own" if name in catalogue.sources else name


def _found(own: OwnData, rows: Rows, reader: ReaderInfo, plan: Plan) -> str:
    """Say what was recognised, on one line."""
    count = len(rows.places)
    item = f"{reader.modality} file" if rows.suffix_counts else reader.modality
    told = f"{count:,} {item if count == 1 else f'{item}s'}"
    if rows.suffix_counts:
        kinds = sorted(rows.suffix_counts.items(), key=lambda pair: (-pair[1], pair[0]))
        told += f" ({', '.join(suffix for suffix, _ in kinds[:4])})"
    what = "task" if rows.targets else "class"
    number = sum(len(part) for part in plan.splits.values())
    place = "".join(c if c.isprintable() else "?" for c in own.place)
    return f"own data {place}: {told} of {counted(number, what)}"


def _plain(reader: ReaderInfo) -> dict[str, Any]:
    values = asdict(reader)
    return {**values, "options": dict(reader.options), "suffixes": list(reader.suffixes),
            "requires": list(reader.requires)}  # fmt: skip


def reader_of(values: Mapping[str, Any]) -> ReaderInfo:
    """Undo what the options of a source hold of its reader."""
    fields = {name: values[name] for name in ReaderInfo.__dataclass_fields__}
    for name in ("suffixes", "requires"):
        fields[name] = tuple(fields[name])
    return ReaderInfo(**fields)


def _code(reader: ReaderInfo) -> str:
    try:
        return code_digest(reader.target)
    except MetabenchError:
        return ""  # the worker says what is wrong with the target


def _readers(catalogue: Catalogue) -> Sequence[ReaderInfo]:
    """Return the readers, of which there has to be one.

    Raises:
        UsageError: If no plugin provides any.
    """
    readers = [entry.info for entry in catalogue.readers.values()]
    if not readers:
        raise UsageError("no plugin reads own data; install one, such as metabench[vision]")
    return readers
