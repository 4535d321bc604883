"""Records in, leaderboard files out."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from metabench.errors import MetabenchError
from metabench.leaderboard.audits import AUDIT_COLUMNS, Audit, audit_rows
from metabench.leaderboard.csvfile import write_csv
from metabench.leaderboard.facts import Facts
from metabench.leaderboard.overall import OverallRow, overall_columns
from metabench.leaderboard.prepared import Prepared, prepare
from metabench.leaderboard.row import COLUMNS
from metabench.leaderboard.standing import Standings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from metabench.leaderboard.evidence import Scored

OVERALL = "overall"
AUDIT = "audit"
_NAME = re.compile(r"[a-z0-9][a-z0-9._+-]*")


@dataclass(frozen=True, eq=False)
class Written:
    """What was written, and what it holds.

    Attributes:
        domains: One file per domain.
        overall: The file over all domains.
        tables: The rows of the domains' files, and what a reader must know of them.
        overall_rows: The rows of the overall file.
        facts: What the tables rest on.
        audit: The file of what audits found, if there are any of these algorithms.
    """

    domains: Mapping[str, Path]
    overall: Path
    tables: Standings
    overall_rows: tuple[OverallRow, ...]
    facts: Facts
    audit: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file: the domains', the overall one, and that of the audits."""
        audit = () if self.audit is None else (self.audit,)
        return (*self.domains.values(), self.overall, *audit)


def write_leaderboards(
    scored: Iterable[Scored], out: Path, audits: Iterable[Audit] = ()
) -> Written:
    """Write ``<domain>.csv`` for every domain, ``overall.csv``, and ``audit.csv``.

    Each file is written atomically. Files of other domains in the folder are left alone.

    Args:
        scored: Every planned cell's record with its scores, in any order.
        out: The folder; it is made if need be.
        audits: Audits of algorithms; those of other code than the records' are passed over.

    Returns:
        The paths and the tables.

    Raises:
        MetabenchError: If a file cannot be written, or a domain's name cannot be a file's.
    """
    return write_prepared(prepare(scored, audits), out)


def write_prepared(prepared: Prepared, out: Path) -> Written:
    """Write the CSV files of tables; see `write_leaderboards`.

    Args:
        prepared: The tables.
        out: The folder.

    Returns:
        The paths and the tables.

    Raises:
        MetabenchError: As `write_leaderboards`.
    """
    tables = prepared.tables
    for domain in tables.domains:
        if domain in {OVERALL, AUDIT} or not _NAME.fullmatch(domain):
            raise MetabenchError(
                f"a record names the domain {domain!r}, which cannot name a table; a domain is "
                f"lower-case letters, digits and ._- and neither {OVERALL!r} nor {AUDIT!r}: remove "
                "that record"
            )
    paths = {domain: out / f"{domain}.csv" for domain in tables.domains}
    for domain, path in paths.items():
        rows = tables.of_domain(domain)
        write_csv(path, COLUMNS, ({name: getattr(row, name) for name in COLUMNS} for row in rows))
    overall = out / f"{OVERALL}.csv"
    columns = overall_columns(tables.domains)
    write_csv(overall, columns, (row.values() for row in prepared.overall))
    written = Written(paths, overall, tables, prepared.overall, prepared.facts)
    audit = out / f"{AUDIT}.csv"
    if not prepared.audits and not audit.exists():
        return written
    write_csv(audit, AUDIT_COLUMNS, audit_rows(prepared.audits))
    return replace(written, audit=audit)
