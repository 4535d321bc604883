"""Whether what made a record is what is installed here: plugins, versions, code, declarations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from metabench.errors import MetabenchError
from metabench.registry.catalogue import Catalogue
from metabench.runs.plan import cell_of, key_parts_of
from metabench.runs.record import Record
from metabench.runs.rerun import draft_of
from metabench.runs.why import key_changes

OF_THE_EPISODES = frozenset({"chance", "best", "protocol"})
"""What a cell says that hangs on its test episodes, or is but a name."""

DEPENDENCIES = ".dependencies"
"""What the key has of a plugin in another interpreter only; libraries are no part of a plugin."""


def strangers(record: Record, catalogue: Catalogue) -> Iterator[str]:
    """Plan a record's cell anew and compare.

    Args:
        record: The record.
        catalogue: What is installed.

    Yields:
        What is not installed, or is other than it was for the record.
    """
    try:
        draft = draft_of(record, catalogue)
    except MetabenchError as error:
        yield str(error)
        return
    parts, cell = record.key_parts, record.cell
    inside = [parts.get("source"), parts.get("encoder")]
    data, encoder = (part if isinstance(part, Mapping) else {} for part in inside)
    ours = key_parts_of(
        draft,
        str(data.get("digest", "")),
        str(encoder.get("weights", "")),
        str(parts.get("precision", "")),
    )
    for change in key_changes(ours, parts):
        part, _, values = change.partition(" changed: ")
        if part.endswith(DEPENDENCIES):
            continue
        here, _, there = values.partition(" -> ")
        yield f"{part} is {there or change}, and what is installed here is {here or 'another'}"
    expected = cell_of(draft)
    for name in type(cell).model_fields:
        told, own = getattr(cell, name), getattr(expected, name)
        if name not in OF_THE_EPISODES and told != own:
            yield f"it says {name} {told!r}, and what is installed is {own!r}"
