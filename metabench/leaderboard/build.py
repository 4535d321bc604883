"""Records in, leaderboard files out."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from metabench.errors import MetabenchError
from metabench.leaderboard.csvfile import write_csv
from metabench.leaderboard.overall import OverallRow, build_overall, overall_columns
from metabench.leaderboard.row import COLUMNS
from metabench.leaderboard.tables import Tables, build_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from metabench.leaderboard.evidence import Scored

OVERALL = "overall"
_NAME = re.compile(r"[a-z0-9][a-z0-9._+-]*")


@dataclass(frozen=True, eq=False)
class Written:
    """What was written, and what it holds.

    Attributes:
        domains: One file per domain.
        overall: The file over all domains.
        tables: The rows of the domains' files, and what a reader must know of them.
        overall_rows: The rows of the overall file.
    """

    domains: Mapping[str, Path]
    overall: Path
    tables: Tables
    overall_rows: tuple[OverallRow, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file, the overall one last."""
        return (*self.domains.values(), self.overall)


def write_leaderboards(scored: Iterable[Scored], out: Path) -> Written:
    """Write ``<domain>.csv`` for every domain, and ``overall.csv``.

    Each file is written atomically. Files of other domains in the folder are left alone.

    Args:
        scored: Every planned cell's record with its scores, in any order.
        out: The folder; it is made if need be.

    Returns:
        The paths and the tables.

    Raises:
        MetabenchError: If a file cannot be written, or a domain's name cannot be a file's.
    """
    tables = build_tables(scored)
    for domain in tables.domains:
        if domain == OVERALL or not _NAME.fullmatch(domain):
            raise MetabenchError(
                f"a record names the domain {domain!r}, which cannot name a table; a domain is "
                f"lower-case letters, digits and ._- and not {OVERALL!r}: remove that record"
            )
    overall_rows = build_overall(tables)
    paths = {domain: out / f"{domain}.csv" for domain in tables.domains}
    for domain, path in paths.items():
        write_csv(path, COLUMNS, (asdict(row) for row in tables.of_domain(domain)))
    overall = out / f"{OVERALL}.csv"
    columns = overall_columns(tables.domains)
    write_csv(overall, columns, (row.values() for row in overall_rows))
    return Written(paths, overall, tables, overall_rows)
