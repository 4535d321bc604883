"""Which records of a source are of its data as of last, and which are of earlier data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metabench.runs.record import Record


def data_digest(record: Record) -> str:
    """Return the digest of the data that a cell saw; empty if they were not loaded."""
    source = record.key_parts.get("source")
    return str(source.get("digest") or "") if isinstance(source, Mapping) else ""


def of_latest_data(records: Iterable[Record], latest: str = "") -> tuple[list[Record], int]:
    """Keep the records of one state of a source's data.

    Scores on data that have changed since say nothing of the data as they are.

    Args:
        records: Records of one source.
        latest: The digest of the data in their latest state, if it is known; otherwise that of the
            record that was finished last.

    Returns:
        The records of that state, and those without scores that never saw any data; and how many
        were left out.
    """
    found = list(records)
    digests = [data_digest(record) for record in found]
    if not latest or latest not in digests:
        times = [str(record.provenance.get("finished", "")) for record in found]
        latest = max(
            ((time, digest) for time, digest in zip(times, digests, strict=True) if digest),
            default=("", ""),
        )[1]
    kept = [
        record
        for record, digest in zip(found, digests, strict=True)
        if digest == latest or (not digest and record.status != "ok")
    ]
    return kept, len(found) - len(kept)


def left_out(number: int, source: str) -> tuple[str, ...]:
    """Say how many records were left out, if any were."""
    if not number:
        return ()
    what = "1 record" if number == 1 else f"{number} records"
    return (f"{source}: {what} of earlier data left out: the data have changed since",)
