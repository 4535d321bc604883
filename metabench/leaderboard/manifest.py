"""What published tables rest on: protocols, plugins, versions, machines, dates, and file hashes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from metabench.atomic import write_text
from metabench.errors import MetabenchError
from metabench.runs.record import Record, digest_of

MANIFEST = "manifest.json"
MANIFEST_VERSION: Literal[1] = 1
PACKAGES = ("metabench", "python", "torch", "numpy")
MACHINE = ("platform", "processor", "cores", "device", "accelerator", "precision", "threads")


class Manifest(BaseModel):
    """The layout of ``manifest.json``.

    Attributes:
        schema_version: Of this layout.
        built: When the tables were made; unchanged by a build that changes nothing else.
        records: Number of records by status, ``total`` among them.
        records_digest: SHA-256 over the records' keys and checksums.
        finished: When the first and the last cell ended.
        protocols: By digest: their names and every setting.
        sources: By name: digests of the data and who provides it.
        plugins: By distribution: its versions, and digests of the code of what it provides.
        packages: By name: the versions that records were made with.
        machines: Where cells ran, with the number of cells of each.
        files: By path below the folder: SHA-256 and size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = MANIFEST_VERSION
    built: str = ""
    records: Mapping[str, int]
    records_digest: str
    finished: tuple[str, str]
    protocols: Mapping[str, Any]
    sources: Mapping[str, Any]
    plugins: Mapping[str, Any]
    packages: Mapping[str, tuple[str, ...]]
    machines: tuple[Mapping[str, Any], ...]
    files: Mapping[str, Mapping[str, Any]]


def write_manifest(records: Iterable[Record], out: Path, files: Iterable[Path]) -> Path:
    """Write ``manifest.json``; do so last, since it holds the other files' hashes.

    Args:
        records: The records behind the tables.
        out: The folder.
        files: Every file that was written to it.

    Returns:
        The manifest's path.

    Raises:
        MetabenchError: If it cannot be written.
    """
    path = out / MANIFEST
    manifest = _describe(list(records), out, files)
    try:
        before = read_manifest(path)
    except MetabenchError:
        before = None
    if before is None or manifest != before.model_copy(update={"built": ""}):
        now = datetime.now(UTC).isoformat(timespec="seconds")
        manifest = manifest.model_copy(update={"built": now})
        # ASCII: what is invisible in a name can be seen.
        write_text(path, json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n")
    return path


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        MetabenchError: If there is none, or it is none of this version.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise MetabenchError(
            f"cannot read {path}: {error.strerror}; `metabench leaderboard build` writes it"
        ) from error
    except (ValueError, RecursionError):
        raise MetabenchError(f"{path} is torn: it is no complete JSON; build it again") from None
    version = values.get("schema_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > MANIFEST_VERSION:
        raise MetabenchError(
            f"{path} has schema version {version}, and this metabench reads {MANIFEST_VERSION}; "
            "update metabench"
        )
    try:
        # Through JSON text again: only there is a list as good as a tuple.
        return Manifest.model_validate_json(json.dumps(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "its content"
        raise MetabenchError(f"{path}: {place}: {first['msg'].lower()}; build it again") from None


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_records(records: Iterable[Record]) -> str:
    """Return one digest of all records, whatever their order."""
    return digest_of(sorted([record.key, record.checksum] for record in records))


def _describe(records: list[Record], out: Path, files: Iterable[Path]) -> Manifest:
    counts = Counter(str(record.status) for record in records)
    ends = sorted(str(record.provenance.get("finished", "")) for record in records) or [""]
    return Manifest(
        records={"total": len(records), **dict(sorted(counts.items()))},
        records_digest=digest_of_records(records),
        finished=(ends[0], ends[-1]),
        protocols=_protocols(records),
        sources=_sources(records),
        plugins=_plugins(records),
        packages={
            name: tuple(sorted({str(r.provenance[name]) for r in records if name in r.provenance}))
            for name in PACKAGES
        },
        machines=_machines(records),
        files={
            path.relative_to(out).as_posix(): {
                "sha256": file_digest(path),
                "bytes": path.stat().st_size,
            }
            for path in sorted(files)
        },
    )


def _protocols(records: Iterable[Record]) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        one = found.setdefault(record.cell.protocol_digest, {"names": set(), "settings": {}})
        one["names"].add(record.cell.protocol)
        settings = record.provenance.get("protocol")
        if isinstance(settings, Mapping) and settings and not one["settings"]:
            one["settings"] = {name: value for name, value in settings.items() if name != "name"}
    return {digest: {**one, "names": sorted(one["names"])} for digest, one in sorted(found.items())}


def _sources(records: Iterable[Record]) -> dict[str, Any]:
    found: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for record in records:
        digests, providers = found[record.cell.source]
        digests.add(_text(_part(record, "source").get("digest")))
        providers.add(_text(record.provenance.get("source")))
    return {
        name: {"digests": sorted(digests - {""}), "from": sorted(providers - {""})}
        for name, (digests, providers) in sorted(found.items())
    }


def _plugins(records: Iterable[Record]) -> dict[str, Any]:
    versions: dict[str, set[str]] = defaultdict(set)
    code: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for record in records:
        cell = record.cell
        versions[cell.plugin].add(cell.plugin_version)
        digest = _text(_part(record, "algorithm").get("code"))
        code[cell.plugin][f"algorithm {cell.algorithm}"].add(digest)
        for kind in ("encoder", "source"):
            name, _, version = _text(record.provenance.get(kind)).rpartition(" ")
            if not name:
                continue
            versions[name].add(version)
            if kind == "encoder":
                digest = _text(_part(record, "encoder").get("code"))
                code[name][f"encoder {cell.encoder}"].add(digest)
    return {
        name: {
            "versions": sorted(found),
            "code": {part: sorted(digests - {""}) for part, digests in sorted(code[name].items())},
        }
        for name, found in sorted(versions.items())
    }


def _machines(records: Iterable[Record]) -> tuple[dict[str, Any], ...]:
    """Where cells were carried out; those without scores ran nowhere."""
    found: Counter[str] = Counter()
    for record in records:
        if record.status == "ok":
            told = {name: record.provenance[name] for name in MACHINE if name in record.provenance}
            found[json.dumps(told)] += 1
    return tuple({**json.loads(told), "cells": cells} for told, cells in sorted(found.items()))


def _part(record: Record, name: str) -> Mapping[str, Any]:
    part = record.key_parts.get(name)
    return part if isinstance(part, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
