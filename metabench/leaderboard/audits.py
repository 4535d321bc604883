"""What audits of algorithms found, as kept in a store, and what a table makes of it. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metabench.atomic import write_text
from metabench.leaderboard.csvfile import Value
from metabench.leaderboard.text import REASON_LENGTH, one_line
from metabench.runs.record import Record, digest_of

if TYPE_CHECKING:
    from metabench.leaderboard.row import Row

QUERY_INDEPENDENCE = "query-independence"

AUDIT_COLUMNS = (
    "algorithm", "plugin", "plugin_version", "code", "source", "encoder", "task_kind", "check",
    "outcome", "value", "detail", "protocol", "seed",
)  # fmt: skip

Outcome = Literal["passed", "violated", "declared", "inapplicable", "measured"]


class Finding(BaseModel):
    """The outcome of one check.

    Attributes:
        check: The check's name.
        outcome: ``passed``; ``violated``; ``declared``, where the algorithm says itself that it
            lacks the property; ``inapplicable`` to this kind of task; ``measured``, for a number
            that is neither good nor bad.
        detail: One line, with what was measured.
        value: The number, if it is finite.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    outcome: Outcome
    detail: str = ""
    value: float | None = Field(default=None, allow_inf_nan=False)


class Audit(BaseModel):
    """All findings on one algorithm, on one source with one encoder.

    Attributes:
        version: Of this layout.
        algorithm: What the cell key holds of the algorithm: name, options, version, code, recipe.
        source: The source's name.
        source_digest: The digest of its data.
        task_kind: What is predicted.
        encoder: The encoder's name, ``none`` if the algorithm uses none.
        protocol: The protocol's name.
        protocol_digest: SHA-256 of what it fixes.
        seed: The seed.
        plugin: The distribution that provides the algorithm.
        plugin_version: Its version.
        findings: One per check.
        provenance: Versions, device and time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    algorithm: Mapping[str, Any]
    source: str
    source_digest: str
    task_kind: str
    encoder: str
    protocol: str
    protocol_digest: str
    seed: int
    plugin: str
    plugin_version: str
    findings: tuple[Finding, ...]
    provenance: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """The algorithm's name."""
        return str(self.algorithm["name"])

    @property
    def code(self) -> str:
        """Digest of all that the algorithm is: a record with the same one is of the same code."""
        return digest_of(self.algorithm)

    @property
    def violations(self) -> tuple[Finding, ...]:
        """The findings that say ``violated``."""
        return tuple(finding for finding in self.findings if finding.outcome == "violated")


def audit_path(store: Path, audit: Audit) -> Path:
    """Return where an audit lies: one file per algorithm, its code, source and encoder."""
    encoder = re.sub(r"[^A-Za-z0-9._-]+", "_", audit.encoder)[-60:]
    what = digest_of([audit.algorithm, audit.source, audit.encoder])
    return store / "audits" / f"{audit.name}--{audit.source}--{encoder}--{what[:16]}.json"


def write_audit(store: Path, audit: Audit) -> Path:
    """Keep an audit in the store's folder; an earlier one of the same code is replaced.

    Raises:
        MetabenchError: If the folder cannot be written to.
    """
    path = audit_path(store, audit)
    write_text(path, audit.model_dump_json(indent=1) + "\n")
    return path


def read_audits(store: Path) -> tuple[list[Audit], list[str]]:
    """Return the audits in a store's folder, in order of path, and a line for each damaged file."""
    audits, problems = [], []
    for path in sorted((store / "audits").glob("*.json")):
        try:
            audits.append(Audit.model_validate_json(path.read_text("utf-8")))
        except (OSError, UnicodeDecodeError, ValidationError):
            problems.append(
                f"{path} is no audit of this metabench and is passed over; delete it and run "
                "`metabench audit` again"
            )
    return audits, problems


class Audited:
    """The audits that speak of the code of some records.

    Args:
        audits: All audits at hand.
    """

    def __init__(self, audits: Iterable[Audit]) -> None:
        self._by_code: dict[str, list[Audit]] = {}
        for audit in audits:
            self._by_code.setdefault(audit.code, []).append(audit)

    def of(self, records: Iterable[Record]) -> list[Audit]:
        """Return the audits of exactly the code that made the records."""
        return self.of_codes(dict.fromkeys(map(code_of, records))) if self else []

    def of_codes(self, codes: Iterable[str]) -> list[Audit]:
        """Return the audits of algorithms with these digests."""
        return [audit for code in codes for audit in self._by_code.get(code, ())]

    def __bool__(self) -> bool:
        """Whether there is any audit."""
        return bool(self._by_code)

    def mark(self, row: Row, records: Sequence[Record]) -> Row:
        """Return the row, not inductive and with the reason if an audit found it to be so."""
        found = [
            f"{audit.source}/{audit.encoder}: {finding.detail}"
            for audit in self.of(records)
            for finding in audit.violations
            if finding.check == QUERY_INDEPENDENCE
        ]
        if not found:
            return row
        said = f"audit: {QUERY_INDEPENDENCE} violated on {found[0]}"
        reason = f"{row.reason}; {said}" if row.reason else said
        return replace(row, inductive=False, reason=one_line(reason, REASON_LENGTH))


def code_of(record: Record) -> str:
    """Return the digest of the algorithm that made a record, as `Audit.code` has it."""
    part = record.key_parts.get("algorithm")
    return digest_of(part) if part else ""


def audit_rows(audits: Iterable[Audit]) -> list[dict[str, Value]]:
    """Return the rows of ``audit.csv``: one per algorithm, code, source, encoder and check."""
    ordered = sorted(
        audits, key=lambda audit: (audit.name, audit.code, audit.source, audit.encoder)
    )
    return [
        {
            "algorithm": audit.name,
            "plugin": audit.plugin,
            "plugin_version": audit.plugin_version,
            "code": audit.code,
            "source": audit.source,
            "encoder": audit.encoder,
            "task_kind": audit.task_kind,
            **finding.model_dump(),
            "protocol": audit.protocol,
            "seed": audit.seed,
        }
        for audit in ordered
        for finding in audit.findings
    ]
