"""Published tables against the records behind them: every number computed again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from metabench.errors import MetabenchError, UsageError
from metabench.leaderboard.audits import read_audits
from metabench.leaderboard.build import AUDIT, OVERALL, write_leaderboards
from metabench.leaderboard.csvfile import read_csv
from metabench.leaderboard.facts import Facts
from metabench.leaderboard.folder import Folder, read_folder
from metabench.leaderboard.manifest import MANIFEST, file_digest, read_manifest
from metabench.leaderboard.soundness import Rescore, faults
from metabench.leaderboard.text import one_line

FIRST_ROW = 2
"""The line of a CSV file's first row: spreadsheets and editors count the header."""
LAST_DIGITS = 1.0
"""How far a number may be from the one computed again, in units of its last printed digit."""

IDENTITY: Mapping[str, tuple[str, ...]] = {
    OVERALL: ("encoder_policy", "algorithm"),
    AUDIT: ("algorithm", "plugin_version", "code", "source", "encoder", "check"),
}
DIGEST_LENGTH = 64
ROW_IDENTITY = ("source", "encoder", "algorithm", "protocol", "protocol_digest")

Outcome = Literal["pass", "fail", "unchecked"]


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes:
        outcome: ``pass``, ``fail``, or ``unchecked`` where a check could not say.
        place: The file, with the row of a table.
        what: What stands there.
        detail: What is wrong with it, or what was seen.
    """

    outcome: Outcome
    place: str
    what: str = ""
    detail: str = ""

    def __str__(self) -> str:
        """Return the line that is printed."""
        told = [part for part in (self.place, self.what, self.detail) if part]
        return one_line(f"{self.outcome}  {': '.join(told)}")


def verify(folder: Path, store: Path, rescore: Rescore | None = None) -> Iterator[Check]:
    """Compute published tables again.

    Args:
        folder: The tables.
        store: The records.
        rescore: Computes scores from predictions, where records hold them.

    Yields:
        One check per file of the manifest, per record that is not sound, and per row.

    Raises:
        UsageError: If the folder or the store is none.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; `metabench leaderboard build` makes one")
    records = read_folder(store)
    yield from _manifest_checks(folder)
    yield from record_checks(records, rescore)
    yield from _table_checks(folder, records)


def record_checks(records: Folder, rescore: Rescore | None) -> Iterator[Check]:
    """Check every record by itself; the sound ones are told as one."""
    sound = 0
    for path, why in records.damaged:
        yield Check("fail", records.name(path), detail=why)
    for found in records.found:
        wrong = faults(found.record, found.arrays(), rescore)
        sound += not wrong
        for fault in wrong:
            yield Check("fail", records.name(found.path), found.record.cell.label, fault)
    yield Check("pass", str(records.root), f"{sound} records agree with their scores and digests")


def _manifest_checks(folder: Path) -> Iterator[Check]:
    try:
        manifest = read_manifest(folder / MANIFEST)
    except MetabenchError as error:
        yield Check("fail", MANIFEST, detail=str(error))
        return
    for name, told in manifest.files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            yield Check("fail", MANIFEST, name, "lies outside the folder")
        elif not path.is_file():
            yield Check("fail", name, detail="is missing; the manifest names it")
        elif file_digest(path) != told.get("sha256"):
            yield Check("fail", name, detail="was changed: its SHA-256 is not the manifest's")
        else:
            yield Check("pass", name, "SHA-256")
    for path in sorted(folder.glob("*.csv")):
        if path.name not in manifest.files:
            detail = "is not in the manifest; remove it, or build the tables again"
            yield Check("fail", path.name, detail=detail)


def _table_checks(folder: Path, records: Folder) -> Iterator[Check]:
    audits, _ = read_audits(records.root)
    with tempfile.TemporaryDirectory(prefix="metabench-") as name:
        scored = (found.scored() for found in records.found)
        written = write_leaderboards(scored, Path(name), audits)
        yield from _same_records(folder, records, written.facts)
        for message in written.tables.messages:
            yield Check("unchecked", str(folder), detail=message)
        for path in written.paths:
            yield from compare_tables(folder / path.name, path)
        expected = {path.name for path in written.paths}
        for path in sorted(folder.glob("*.csv")):
            if path.name not in expected:
                yield Check("fail", path.name, detail="no record is behind this table")


def _same_records(folder: Path, records: Folder, used: Facts) -> Iterator[Check]:
    try:
        manifest = read_manifest(folder / MANIFEST)
    except MetabenchError:  # told already
        return
    if used.records_digest != manifest.records_digest:
        number = manifest.records.get("total", 0)
        detail = (
            f"the tables were built from {number} records, and the {len(used.names)} of "
            f"{records.root} are not the same ones"
        )
        yield Check("fail", MANIFEST, "records_digest", detail)


def compare_tables(published: Path, expected: Path) -> Iterator[Check]:
    """Compare a published table with the same one computed again, row by row.

    Args:
        published: The CSV file.
        expected: What it should be.

    Yields:
        One check per published row, and one per row that is missing.
    """
    file = published.name
    if not published.is_file():
        yield Check("fail", file, detail="is missing, and there are records for it")
        return
    try:
        rows, theirs = read_csv(published), read_csv(expected)
    except MetabenchError as error:
        yield Check("fail", file, detail=str(error))
        return
    told, own = (path.read_text("utf-8").partition("\n")[0] for path in (published, expected))
    if told != own:
        detail = _differing_columns(told.split(","), own.split(","))
        yield Check("fail", f"{file} row 1", "columns", detail)
    yield from _mixed(file, rows)
    identity = IDENTITY.get(published.stem, ROW_IDENTITY)
    left = {_named(row, identity): row for row in theirs}
    seen: dict[tuple[str, ...], int] = {}
    order: list[tuple[str, ...]] = []
    for line, row in enumerate(rows, FIRST_ROW):
        name = _named(row, identity)
        place, what = f"{file} row {line}", _label(name)
        if name in seen:
            yield Check("fail", place, what, f"stands in row {seen[name]} already")
            continue
        seen[name] = line
        if name not in left:
            yield Check("fail", place, what, "no record is behind this row")
            continue
        order.append(name)
        wrong = list(_differences(row, left[name]))
        yield Check("fail" if wrong else "pass", place, what, "; ".join(wrong))
    for name in left:
        if name not in seen:
            what = _label(name)
            yield Check("fail", file, what, "the records have this row, and the table lacks it")
    if order != [name for name in left if name in seen]:
        yield Check("fail", file, detail="its rows are not in the order that the records give")


def _mixed(file: str, rows: Sequence[Mapping[str, str]]) -> Iterator[Check]:
    """Name rows that stand under one source and protocol name and cannot be compared."""
    for column in ("protocol_digest", "episodes_digest"):
        found: dict[tuple[str, ...], dict[str, list[int]]] = {}
        for line, row in enumerate(rows, FIRST_ROW):
            names = ["source", "protocol", *(["protocol_digest"] * (column != "protocol_digest"))]
            if digest := row.get(column):
                block = found.setdefault(_named(row, names), {})
                block.setdefault(digest, []).append(line)
        for name, digests in found.items():
            if len(digests) > 1:
                shown = "; ".join(
                    f"{digest[:12]} in row {', '.join(map(str, lines))}"
                    for digest, lines in digests.items()
                )
                detail = f"several {column}, not to be compared: {shown}"
                yield Check("unchecked", file, _label(name), detail)


def _named(row: Mapping[str, str], identity: Sequence[str]) -> tuple[str, ...]:
    return tuple(row.get(column, "") for column in identity)


def _label(name: Iterable[str]) -> str:
    return "/".join(part[:12] if len(part) == DIGEST_LENGTH else part for part in name)


def _differences(row: Mapping[str, str], expected: Mapping[str, str]) -> Iterator[str]:
    for column, value in expected.items():
        if column in row and not _same(row[column], value):
            yield f"{column} is {row[column] or 'empty'}, and the records give {value or 'nothing'}"


def _same(told: str, own: str) -> bool:
    if told == own:
        return True
    try:
        difference = abs(float(told) - float(own))
    except ValueError:
        return False
    decimals = len(own.partition(".")[2])
    # A little more than the unit itself, for the subtraction's own rounding.
    return decimals > 0 and difference <= (LAST_DIGITS + 1e-3) * 10**-decimals


def _differing_columns(told: Sequence[str], own: Sequence[str]) -> str:
    missing = ", ".join(name for name in own if name not in told)
    more = ", ".join(name for name in told if name not in own)
    parts = [f"{verb} {names}" for verb, names in (("lacks", missing), ("adds", more)) if names]
    return "; ".join(parts) or "in another order"
