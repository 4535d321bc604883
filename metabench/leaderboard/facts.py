"""What tables rest on, counted record by record, so that a source's share can be kept and added."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from metabench.runs.record import Record, digest_of

PACKAGES = ("metabench", "python", "torch", "numpy")
MACHINE = ("platform", "processor", "cores", "device", "accelerator", "precision", "threads")

_Sets = dict[str, set[str]]


class Facts:
    """Counts and names over records, in no order that means anything."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.names: list[tuple[str, str]] = []
        self.finished: tuple[str, str] | None = None
        self._protocols: dict[str, tuple[set[str], dict[str, Any]]] = {}
        self._data: _Sets = defaultdict(set)
        self._providers: _Sets = defaultdict(set)
        self._versions: _Sets = defaultdict(set)
        self._code: dict[str, _Sets] = defaultdict(lambda: defaultdict(set))
        self._packages: _Sets = defaultdict(set)
        self._machines: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        """Count a record."""
        self.statuses[record.status] += 1
        self.names.append((record.key, record.checksum))
        self._span(str(record.provenance.get("finished", "")))
        self._add_protocol(record)
        self._add_plugins(record)
        provenance = record.provenance
        source = record.cell.source
        self._data[source].add(_text(_part(record, "source").get("digest")))
        self._providers[source].add(_text(provenance.get("source")))
        for name in PACKAGES:
            if name in provenance:
                self._packages[name].add(str(provenance[name]))
        if record.status == "ok":  # those without scores ran nowhere
            told = {name: provenance[name] for name in MACHINE if name in provenance}
            self._machines[json.dumps(told)] += 1

    def merge(self, other: Facts) -> None:
        """Count what another has counted."""
        self.statuses += other.statuses
        self.names += other.names
        for end in other.finished or ():
            self._span(end)
        for digest, (names, settings) in other._protocols.items():
            own = self._protocols.setdefault(digest, (set(), {}))
            own[0].update(names)
            if not own[1]:
                own[1].update(settings)
        for name in ("_data", "_providers", "_versions", "_packages"):
            _join(getattr(self, name), getattr(other, name))
        for plugin, parts in other._code.items():
            _join(self._code[plugin], parts)
        self._machines += other._machines

    @property
    def records_digest(self) -> str:
        """One digest of all records."""
        return digest_of(sorted(map(list, self.names)))

    def described(self) -> dict[str, Any]:
        """Return what the manifest says of the records, as plain JSON types."""
        return {
            "records": {"total": self.statuses.total(), **dict(sorted(self.statuses.items()))},
            "records_digest": self.records_digest,
            "finished": self.finished or ("", ""),
            "protocols": {
                digest: {"names": sorted(names), "settings": settings}
                for digest, (names, settings) in sorted(self._protocols.items())
            },
            "sources": {
                name: {
                    "digests": sorted(digests - {""}),
                    "from": sorted(self._providers[name] - {""}),
                }
                for name, digests in sorted(self._data.items())
            },
            "plugins": {
                name: {
                    "versions": sorted(found),
                    "code": {
                        part: sorted(digests - {""})
                        for part, digests in sorted(self._code[name].items())
                    },
                }
                for name, found in sorted(self._versions.items())
            },
            "packages": {name: tuple(sorted(self._packages[name])) for name in PACKAGES},
            "machines": tuple(
                {**json.loads(told), "cells": cells}
                for told, cells in sorted(self._machines.items())
            ),
        }

    def kept(self) -> dict[str, Any]:
        """Return everything as plain JSON types, for `restored`."""
        return {
            "statuses": self.statuses,
            "names": self.names,
            "finished": self.finished,
            "protocols": {d: [sorted(names), s] for d, (names, s) in self._protocols.items()},
            "code": {plugin: _listed(parts) for plugin, parts in self._code.items()},
            "machines": self._machines,
            **{
                name: _listed(getattr(self, f"_{name}"))
                for name in ("data", "providers", "versions", "packages")
            },
        }

    @classmethod
    def restored(cls, kept: Mapping[str, Any]) -> Facts:
        """Return what `kept` was made from."""
        found = cls()
        found.statuses.update(kept["statuses"])
        found.names = [(key, checksum) for key, checksum in kept["names"]]
        found.finished = kept["finished"] and (kept["finished"][0], kept["finished"][1])
        found._protocols = {d: (set(names), s) for d, (names, s) in kept["protocols"].items()}
        found._machines.update(kept["machines"])
        for plugin, parts in kept["code"].items():
            _join(found._code[plugin], parts)
        for name in ("data", "providers", "versions", "packages"):
            _join(getattr(found, f"_{name}"), kept[name])
        return found

    def _span(self, end: str) -> None:
        first, last = self.finished or (end, end)
        self.finished = (min(first, end), max(last, end))

    def _add_protocol(self, record: Record) -> None:
        names, settings = self._protocols.setdefault(record.cell.protocol_digest, (set(), {}))
        names.add(record.cell.protocol)
        told = record.provenance.get("protocol")
        if isinstance(told, Mapping) and told and not settings:
            settings.update({name: value for name, value in told.items() if name != "name"})

    def _add_plugins(self, record: Record) -> None:
        cell = record.cell
        self._versions[cell.plugin].add(cell.plugin_version)
        digest = _text(_part(record, "algorithm").get("code"))
        self._code[cell.plugin][f"algorithm {cell.algorithm}"].add(digest)
        for kind in ("encoder", "source"):
            name, _, version = _text(record.provenance.get(kind)).rpartition(" ")
            if not name:
                continue
            self._versions[name].add(version)
            if kind == "encoder":
                digest = _text(_part(record, "encoder").get("code"))
                self._code[name][f"encoder {cell.encoder}"].add(digest)


def facts_of(records: Iterable[Record]) -> Facts:
    """Count all of these records."""
    facts = Facts()
    for record in records:
        facts.add(record)
    return facts


def _join(own: _Sets, other: Mapping[str, Iterable[str]]) -> None:
    for name, values in other.items():
        own[name].update(values)


def _listed(sets: Mapping[str, set[str]]) -> dict[str, list[str]]:
    return {name: sorted(values) for name, values in sets.items()}


def _part(record: Record, name: str) -> Mapping[str, Any]:
    part = record.key_parts.get(name)
    return part if isinstance(part, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
