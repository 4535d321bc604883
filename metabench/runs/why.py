"""Why a cell is found, missing or stale."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from metabench.errors import MetabenchError, UsageError
from metabench.runs.plan import Planned, draft_cells, resolve
from metabench.runs.record import Record
from metabench.runs.request import RunRequest
from metabench.runs.session import REQUEST_FILE, Session, settled
from metabench.runs.store import Store
from metabench.runs.suite import first_error

SHORTEST_KEY = 6
MOST_NEAR = 3
KNOWN_ONCE_LOADED = frozenset({"source.digest", "encoder.weights"})


@dataclass(frozen=True)
class Explanation:
    """What would happen to a cell, and why.

    Attributes:
        label: The cell's name.
        verdict: ``found``, ``missing``, ``stale``, ``to be tried again`` or ``not run``.
        reasons: What that rests on, a line each.
        key: The cell key as of now.
        record: The record at hand, current or stale.
    """

    label: str
    verdict: str
    reasons: tuple[str, ...]
    key: str
    record: Record | None


def last_request(store: Store) -> RunRequest:
    """Return the request of the last run on a store.

    Raises:
        UsageError: If there is none, or it cannot be read.
    """
    path = store.root / REQUEST_FILE
    try:
        return RunRequest.model_validate_json(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{store.root} holds no run; start one with `metabench run --store {store.root}`"
        ) from None
    except (OSError, ValidationError) as error:
        detail = first_error(error) if isinstance(error, ValidationError) else str(error)
        raise UsageError(f"{path}: {detail}") from error


def explain(store: Store, name: str) -> list[Explanation]:
    """Explain the cells of the last run that a name stands for.

    Args:
        store: The store.
        name: A label ``source/encoder/algorithm/protocol/seedN`` or a part of one in that order
            (``omniglot/conv4``), or the first characters of a key.

    Returns:
        One explanation per cell.

    Raises:
        UsageError: If no planned cell and no record has that name.
    """
    request = last_request(store).model_copy(update={"store": store.root})
    try:
        session = Session.start(request, only_read=True)
    except MetabenchError as error:
        if not any((request.data_folder, request.data_table, request.hf_dataset)):
            raise
        raise UsageError(
            f"the last run on {store.root} was of own data, which cannot be looked at: {error}"
        ) from error
    drafts = draft_cells(session.request, session.catalogue)
    knowledge = session.known(drafts)
    cells = [resolve(draft, knowledge, session.place) for draft in drafts]
    records = list(store.scan())
    wanted = [cell for cell in cells if _matches(cell, name)]
    if not wanted:
        labels = {r.cell.label for r in records if _is_key(name, r.key)}
        wanted = [cell for cell in cells if cell.task.cell.label in labels]
    if not wanted:
        near = _near(name, [cell.task.cell.label for cell in cells])
        raise UsageError(
            f"the last run on {store.root} has no cell {name!r}; near: {', '.join(near)}"
        )
    return [_explain(cell, records, store) for cell in wanted]


def _near(name: str, labels: list[str]) -> list[str]:
    """Find labels that hold the name, or else those that look most like it."""
    inside = [label for label in labels if name.strip("/") in label]
    return (inside or difflib.get_close_matches(name, labels, MOST_NEAR, 0.0))[:MOST_NEAR]


def _explain(cell: Planned, records: list[Record], store: Store) -> Explanation:
    task = cell.task
    label, key = task.cell.label, task.key
    current = next((record for record in records if record.key == key), None)
    if current is not None and settled(cell, current):
        reasons = [f"record {store.path(current.cell, key)} has this key and is intact"]
        if current.failure:
            reasons.append(f"it ended as {current.status}: {current.failure.reason}")
        return Explanation(label, "found", tuple(reasons), key, current)
    if cell.verdict is not None:
        reason = f"{cell.verdict.status}: {cell.verdict.reason}"
        return Explanation(label, "not run", (reason,), key, current)
    if current is not None:
        reason = current.failure.reason if current.failure else ""
        reason = f"the last attempt ended as {current.status}: {reason}"
        return Explanation(label, "to be tried again", (reason,), key, current)
    same = [record for record in records if record.cell.label == label]
    if not same:
        return Explanation(label, "missing", ("no record has this name",), key, None)
    newest = max(same, key=lambda record: str(record.provenance.get("finished", "")))
    changes = tuple(key_changes(newest.key_parts, task.key_parts))
    return Explanation(label, "stale", changes, key, newest)


def key_changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Name every part of a cell key that differs.

    Args:
        old: The parts of one key.
        new: Those of another.
        prefix: Of the names of parts inside parts.
    """
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        part = f"{prefix}{name}"
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from key_changes(before, after, f"{part}.")
        elif part in KNOWN_ONCE_LOADED and before and not after:
            yield f"{part} may have changed: it was not loaded in this state of plugin and data"
        elif before != after:
            yield f"{part} changed: {_short(before)} -> {_short(after)}"


def _short(value: object) -> str:
    text = str(value)
    digest_length = 64
    return text[:12] if len(text) == digest_length else text


def _matches(cell: Planned, name: str) -> bool:
    label = cell.task.cell.label
    return label == name or label.startswith(name.rstrip("/") + "/") or _is_key(name, cell.task.key)


def _is_key(name: str, key: str) -> bool:
    return len(name) >= SHORTEST_KEY and key.startswith(name)
