"""What published tables rest on: protocols, plugins, versions, machines, dates, and file hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from metabench.atomic import write_text
from metabench.errors import MetabenchError
from metabench.leaderboard.facts import Facts

MANIFEST = "manifest.json"
MANIFEST_VERSION: Literal[1] = 1


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


def write_manifest(facts: Facts, out: Path, files: Iterable[Path]) -> Path:
    """Write ``manifest.json``; do so last, since it holds the other files' hashes.

    Args:
        facts: Of the records behind the tables.
        out: The folder.
        files: Every file that was written to it.

    Returns:
        The manifest's path.

    Raises:
        MetabenchError: If it cannot be written.
    """
    path = out / MANIFEST
    manifest = _describe(facts, out, files)
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


def _describe(facts: Facts, out: Path, files: Iterable[Path]) -> Manifest:
    return Manifest(
        **facts.described(),
        files={
            path.relative_to(out).as_posix(): {
                "sha256": file_digest(path),
                "bytes": path.stat().st_size,
            }
            for path in sorted(files)
        },
    )
