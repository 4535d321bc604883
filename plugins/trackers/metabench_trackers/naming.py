"""Names of metrics that every tracker takes."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metabench.runs.record import Record

LONGEST = 200
DIGEST = 8


def metric_name(record: Record) -> str:
    """Name the metric of a cell: ``source/encoder/algorithm/protocol/seed0/accuracy``.

    What is neither a letter, digit, dot, dash nor underscore becomes an underscore. If that, or
    cutting, has changed the name, a digest keeps names apart.

    Args:
        record: The cell's record.
    """
    cell = record.cell
    parts = (cell.source, cell.encoder, cell.algorithm, cell.protocol, f"seed{cell.seed}")
    whole = "/".join((*parts, cell.metric))
    safe = "/".join(_safe(part) for part in (*parts, cell.metric))
    if safe == whole and len(safe) <= LONGEST:
        return safe
    digest = hashlib.sha256(whole.encode()).hexdigest()[:DIGEST]
    return f"{safe[: LONGEST - DIGEST - 1]}-{digest}"


def _safe(part: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", part).strip(".") or "_"
