"""Tables of what the installed plugins provide, from their descriptors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from metabench.registry.candidates import first_party
from metabench.registry.catalogue import Entry
from metabench.registry.discovery import load_plugins

Cells = Callable[[Any], tuple[str, ...]]


def rows_to_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def table(kind: str) -> str:
    """List everything of one kind that first-party plugins provide."""
    heads, cells, groups = KINDS[kind]
    entries: Mapping[str, Entry[Any]] = getattr(load_plugins(), kind)
    ours = first_party()
    infos = [entry.info for entry in entries.values() if entry.plugin in ours]
    if groups is None:
        return rows_to_table(heads, map(cells, infos))
    parts = []
    for group in sorted({groups(info) for info in infos}):
        rows = [cells(info) for info in infos if groups(info) == group]
        parts.append(f"## {group}\n\n{rows_to_table(heads, rows)}")
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _source(info: Any) -> tuple[str, ...]:
    data = "files" if info.files else "synthetic" if info.synthetic else "embedded"
    metric = ", ".join((info.metric, *info.other_metrics))
    return (
        f"`{info.name}`", info.summary, info.task_kind, data, metric, info.licence,
    )  # fmt: skip


def _encoder(info: Any) -> tuple[str, ...]:
    name = f"{info.name}:ARGUMENT" if info.argument else info.name
    summary = info.summary + (f"; ARGUMENT: {info.argument}" if info.argument else "")
    return (
        f"`{name}`", summary + _cited(info), ", ".join(info.modalities),
        "trainable" if info.trainable else "frozen", ", ".join(info.suites),
    )  # fmt: skip


def _algorithm(info: Any) -> tuple[str, ...]:
    recipe = info.recipe if ":" not in info.recipe else "its own"
    return (
        f"`{info.name}`", info.summary + _cited(info), ", ".join(info.task_kinds),
        "yes" if info.inductive else "no", recipe,
    )  # fmt: skip


def _cited(info: Any) -> str:
    return f"<br><small>{info.citation}</small>" if info.citation else ""


def _metric(info: Any) -> tuple[str, ...]:
    return (
        f"`{info.name}`", info.summary, ", ".join(info.task_kinds), str(info.chance), str(info.best)
    )  # fmt: skip


def _reader(info: Any) -> tuple[str, ...]:
    role = f"`--{info.role}`" if info.role else ""
    return f"`{info.name}`", info.summary, info.modality, " ".join(info.suffixes), role


KINDS: Mapping[str, tuple[Sequence[str], Cells, Callable[[Any], str] | None]] = {
    "sources": (
        ("source", "what it is", "task kind", "data", "metrics", "licence"),
        _source,
        lambda info: info.domain,
    ),
    "encoders": (
        ("encoder", "what it is", "modality", "weights", "suites"), _encoder, None,
    ),
    "algorithms": (
        ("algorithm", "what it is", "task kinds", "inductive", "recipe"),
        _algorithm,
        None,
    ),
    "metrics": (("metric", "what it is", "task kinds", "chance", "best"), _metric, None),
    "readers": (("reader", "what it reads", "modality", "files", "column"), _reader, None),
}  # fmt: skip
"""Heads, cells and grouping of each kind."""
