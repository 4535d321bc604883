"""Names of rows and files: stable, so that a link to a row outlives a build."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metabench.leaderboard.row import Row

RESERVED = frozenset({"index", "results", "cell"})
"""Pages that are no domain's."""

_SAFE = re.compile(r"[a-z0-9][a-z0-9._+-]*")
_LONGEST = 80

Place = tuple[str, str, str, str]
"""Domain, source, protocol, protocol digest."""


def place_of(row: Row) -> Place:
    """Return what the rows of a section of a table share."""
    return row.domain, row.source, row.protocol, row.protocol_digest


def file_stem(name: str) -> str:
    """Return a file name without suffix that is safe everywhere; safe names stay as they are."""
    if _SAFE.fullmatch(name) and name not in RESERVED and len(name) <= _LONGEST:
        return name
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[: _LONGEST - 10]
    return f"{readable or 'name'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def place_names(rows: Iterable[Row]) -> Mapping[Place, str]:
    """Name each section ``domain/source/protocol``, with its digest where that is not unique."""
    found: dict[tuple[str, str, str], dict[Place, None]] = defaultdict(dict)
    for row in rows:
        found[row.domain, row.source, row.protocol][place_of(row)] = None
    return {
        place: "/".join(place[:3]) + (f"@{place[3][:8]}" if len(places) > 1 else "")
        for places in found.values()
        for place in places
    }


def shortened(name: str, length: int = 24) -> str:
    """Leave out the middle of a name that is too long for a figure."""
    if len(name) <= length:
        return name
    tail = (length - 1) // 2
    return f"{name[: length - 1 - tail]}…{name[-tail:]}"
