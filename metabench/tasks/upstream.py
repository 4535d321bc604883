"""The upstream files of the sources: where they are, whether they are right, getting them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from metabench.errors import MetabenchError
from metabench.hookspecs import DataFile, TaskSourceInfo
from metabench.registry.catalogue import Entry, describe_exception

DIGESTS = "digests.json"
TIMEOUT = 30.0
CHUNK = 1 << 16

Presence = Literal["present", "missing", "folder"]
Verdict = Literal["ok", "wrong", "unverified", "missing"]
Report = Callable[[str], None]


@dataclass(frozen=True)
class SourceFile:
    """One file of one source.

    Attributes:
        source: The source's name.
        file: The descriptor of the file.
        citation: Where the source comes from.
        location: Where the file belongs; ``None`` without a data directory.
    """

    source: str
    file: DataFile
    citation: str
    location: Path | None

    @property
    def presence(self) -> Presence:
        """Whether the file is there."""
        if self.location is None or not self.location.exists():
            return "missing"
        return "folder" if self.location.is_dir() else "present"

    @property
    def remedy(self) -> str:
        """How to get it."""
        if self.file.url:
            return f"`metabench data fetch {self.source}`"
        return f"by hand, from {self.citation or 'upstream'}"


def source_files(
    entries: Iterable[Entry[TaskSourceInfo]], data_dir: Path | None
) -> list[SourceFile]:
    """List the files of the given sources."""
    return [
        SourceFile(
            entry.info.name,
            file,
            entry.info.citation,
            data_dir.joinpath(*PurePosixPath(file.path).parts) if data_dir else None,
        )
        for entry in entries
        for file in entry.info.files
    ]


def recorded_digests(data_dir: Path) -> dict[str, str]:
    """Read the digests of first downloads.

    Args:
        data_dir: The data directory.

    Returns:
        SHA-256 by path below the directory.

    Raises:
        MetabenchError: If the file is damaged.
    """
    path = data_dir / DIGESTS
    try:
        digests = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise MetabenchError(f"{path} cannot be read ({error}); mend or delete it") from error
    if not isinstance(digests, dict):
        raise MetabenchError(f"{path} is not a JSON object; mend or delete it")
    return {str(name): str(digest) for name, digest in digests.items()}


def verify(file: SourceFile, recorded: Mapping[str, str]) -> tuple[Verdict, str]:
    """Compare a file with the digest that upstream publishes, or that of the first download.

    Args:
        file: The file.
        recorded: Digests of first downloads.

    Returns:
        The verdict, and what to say with it.
    """
    if file.location is None or file.presence == "missing":
        return "missing", file.remedy
    if file.presence == "folder":
        return "unverified", "a folder, which has no digest"
    expected = file.file.sha256 or recorded.get(file.file.path, "")
    if not expected:
        return "unverified", "upstream publishes no sha256"
    actual = sha256_of(file.location)
    if actual == expected:
        return "ok", "sha256" if file.file.sha256 else "sha256 of the first download"
    return "wrong", f"sha256 is {actual}, not {expected}; get it again: {file.remedy}"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch(file: SourceFile, data_dir: Path, report: Report) -> None:
    """Download a file unless the right one is there; it appears whole and verified, or not at all.

    Args:
        file: The file.
        data_dir: The data directory.
        report: Gets one line about what was done.

    Raises:
        MetabenchError: If it cannot be downloaded, or is not what upstream publishes.
    """
    verdict, detail = verify(file, recorded_digests(data_dir))
    name = f"{file.source}: {file.file.path}"
    if verdict == "ok" or (verdict == "unverified" and file.file.sha256 == ""):
        report(f"{name} is there already ({detail})")
        return
    if not file.file.url:
        state = (
            f"is wrong: {detail}"
            if verdict == "wrong"
            else f"is missing; get it {file.remedy}, to {file.location}"
        )
        raise MetabenchError(f"{name} {state} (upstream gives no address to download it from)")
    assert file.location is not None
    known = file.file.sha256 or recorded_digests(data_dir).get(file.file.path, "")
    report(f"{name}: downloading {file.file.url}")
    try:
        _download(file.file.url, file.location, known)
    except (OSError, ValueError) as error:  # requests' errors are OSErrors
        raise MetabenchError(
            f"{name}: downloading {file.file.url} failed ({describe_exception(error)}); try again, "
            f"or put the file at {file.location}"
        ) from error
    digest = known or sha256_of(file.location)
    if not known:
        _record_digest(data_dir, file.file.path, digest)
    how = "as published" if file.file.sha256 else f"recorded in {data_dir / DIGESTS}"
    report(f"{name}: {file.location.stat().st_size:,} bytes, sha256 {digest} ({how})")


def _download(url: str, destination: Path, known: str) -> None:
    import pooch  # noqa: PLC0415 - only a download needs it

    pooch.get_logger().setLevel(logging.WARNING)
    partial = destination.with_name(destination.name + ".part")

    def download(address: str, output: str, _pooch: Any) -> None:
        # Only a file whose digest is known may be put together from two attempts.
        _append(address, partial, resume=bool(known))
        partial.replace(output)

    pooch.retrieve(
        url,
        known_hash=f"sha256:{known}" if known else None,
        fname=destination.name,
        path=destination.parent,
        downloader=download,
    )


def _append(url: str, partial: Path, *, resume: bool) -> None:
    import requests  # noqa: PLC0415 - only a download needs it

    start = partial.stat().st_size if resume and partial.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if start and response.status_code == requests.codes.requested_range_not_satisfiable:
            partial.unlink()
            _append(url, partial, resume=False)
            return
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        with partial.open("ab" if resumed else "wb") as stream:
            for chunk in response.iter_content(CHUNK):
                stream.write(chunk)


def _record_digest(data_dir: Path, path: str, digest: str) -> None:
    digests = {**recorded_digests(data_dir), path: digest}
    temporary = data_dir / f"{DIGESTS}.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(digests, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    temporary.replace(data_dir / DIGESTS)
