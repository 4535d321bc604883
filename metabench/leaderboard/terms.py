"""What records must share to stand in one table: protocols, data and test episodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from metabench.leaderboard.diff import describe_difference
from metabench.runs.record import Record


class Terms:
    """What records must share with those at hand, source by source."""

    def __init__(self) -> None:
        self._protocols: dict[tuple[str, str], dict[str, Record]] = defaultdict(dict)
        self._episodes: dict[tuple[str, str, int], dict[str, None]] = defaultdict(dict)
        self._data: dict[str, dict[str, None]] = defaultdict(dict)

    def add(self, record: Record) -> None:
        """Learn from a record of the store."""
        cell = record.cell
        self._protocols[cell.source, cell.protocol].setdefault(cell.protocol_digest, record)
        if record.episodes_digest:
            place = (cell.source, cell.protocol_digest, cell.seed)
            self._episodes[place].setdefault(record.episodes_digest)
        if digest := _data_digest(record):
            self._data[cell.source].setdefault(digest)

    def difference(self, record: Record) -> str:
        """Say what keeps a record from being compared with those at hand; empty if nothing."""
        cell = record.cell
        protocols = self._protocols.get((cell.source, cell.protocol), {})
        if protocols and cell.protocol_digest not in protocols:
            ours = next(iter(protocols.values()))
            settings = describe_difference(_protocol(ours), _protocol(record))
            return (
                f"its protocol {cell.protocol} is {cell.protocol_digest[:12]}, and that at hand "
                f"{ours.cell.protocol_digest[:12]}: "
                f"{'; '.join(settings) or 'a record does not hold its settings'}"
            )
        data = self._data.get(cell.source, {})
        if data and (digest := _data_digest(record)) and digest not in data:
            return f"its data of {cell.source} are {digest[:12]}, and those at hand {_short(data)}"
        episodes = self._episodes.get((cell.source, cell.protocol_digest, cell.seed), {})
        if episodes and record.episodes_digest and record.episodes_digest not in episodes:
            return (
                f"its test episodes are {record.episodes_digest[:12]}, and those at hand "
                f"{_short(episodes)}"
            )
        return ""


def _protocol(record: Record) -> Mapping[str, Any]:
    held = record.provenance.get("protocol")
    return held if isinstance(held, Mapping) else {}


def _data_digest(record: Record) -> str:
    part = record.key_parts.get("source")
    digest = part.get("digest") if isinstance(part, Mapping) else ""
    return digest if isinstance(digest, str) else ""


def _short(digests: Iterable[str]) -> str:
    return " or ".join(digest[:12] for digest in digests)
