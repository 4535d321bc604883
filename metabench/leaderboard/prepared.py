"""Tables of records that are all at hand, with what the manifest says of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from metabench.leaderboard.audits import Audit, Audited
from metabench.leaderboard.evidence import Scored
from metabench.leaderboard.facts import Facts, facts_of
from metabench.leaderboard.overall import OverallRow, build_overall
from metabench.leaderboard.standing import Standings
from metabench.leaderboard.tables import build_tables


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything that is written.

    Attributes:
        tables: The rows of the domains' files, and what a reader must know of them.
        overall: The rows of the overall file.
        audits: What audits found of the code that made the records.
        facts: What the tables rest on.
    """

    tables: Standings
    overall: tuple[OverallRow, ...]
    audits: tuple[Audit, ...]
    facts: Facts


def prepare(scored: Iterable[Scored], audits: Iterable[Audit] = ()) -> Prepared:
    """Reduce records to tables.

    Args:
        scored: Every planned cell's record with its scores, in any order.
        audits: Audits of algorithms; those of other code than the records' are passed over.
    """
    audited = Audited(audits)
    tables = build_tables(scored, audited)
    return Prepared(
        tables=tables,
        overall=build_overall(tables),
        audits=tuple(audited.of(tables.records)),
        facts=facts_of(tables.records),
    )
