"""Records in, leaderboard files out."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from metabench.errors import MetabenchError
from metabench.leaderboard.audits import AUDIT_COLUMNS, Audit, Audited, audit_rows
from metabench.leaderboard.csvfile import write_csv
from metabench.leaderboard.overall import OverallRow, build_overall, overall_columns
from metabench.leaderboard.row import COLUMNS
from metabench.leaderboard.tables import Tables, build_tables

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
        audit: The file of what audits found, if there are any of these algorithms.
    """

    domains: Mapping[str, Path]
    overall: Path
    tables: Tables
    overall_rows: tuple[OverallRow, ...]
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
    audited = Audited(audits)
    tables = build_tables(scored, audited)
    for domain in tables.domains:
        if domain in {OVERALL, AUDIT} or not _NAME.fullmatch(domain):
            raise MetabenchError(
                f"a record names the domain {domain!r}, which cannot name a table; a domain is "
                f"lower-case letters, digits and ._- and neither {OVERALL!r} nor {AUDIT!r}: remove "
                "that record"
            )
    overall_rows = build_overall(tables)
    paths = {domain: out / f"{domain}.csv" for domain in tables.domains}
    for domain, path in paths.items():
        write_csv(path, COLUMNS, (asdict(row) for row in tables.of_domain(domain)))
    overall = out / f"{OVERALL}.csv"
    columns = overall_columns(tables.domains)
    write_csv(overall, columns, (row.values() for row in overall_rows))
    records = (record for entry in tables.entries for record in entry.evidence.records)
    rows = audit_rows(audited.of(records))
    audit = out / f"{AUDIT}.csv"
    if not rows and not audit.exists():
        return Written(paths, overall, tables, overall_rows)
    write_csv(audit, AUDIT_COLUMNS, rows)
    return Written(paths, overall, tables, overall_rows, audit)
