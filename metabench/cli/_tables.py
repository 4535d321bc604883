"""Tables of a store, for the commands that show them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from metabench.errors import UsageError

if TYPE_CHECKING:
    from metabench.leaderboard.audits import Audit
    from metabench.leaderboard.overall import OverallRow
    from metabench.leaderboard.tables import Tables


def read_tables(
    store: Path, *, warn: bool = True
) -> tuple[Tables, tuple[OverallRow, ...], list[Audit]]:
    """Reduce every record of a store to tables; what is left out is reported on stderr.

    Args:
        store: The folder of records, which is only read.
        warn: Whether to report it.

    Returns:
        The tables, the overall table, and the audits that lie in the store.

    Raises:
        UsageError: If it holds no records.
    """
    from metabench.leaderboard.audits import Audited, read_audits
    from metabench.leaderboard.overall import build_overall
    from metabench.leaderboard.tables import build_tables
    from metabench.runs.store import Store

    if not (store / "records").is_dir():
        raise UsageError(f"{store} holds no records; `metabench run --store {store}` makes some")
    opened = Store(store.resolve(), only_read=True)
    audits, damaged = read_audits(opened.root)
    tables = build_tables(opened.scan_scored(), Audited(audits))
    for text in (*opened.quarantined, *damaged, *tables.messages) if warn else ():
        click.echo(f"metabench: warning: {text}", err=True)
    return tables, build_overall(tables), audits
