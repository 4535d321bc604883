"""``metabench leaderboard build``: tables from records."""

from __future__ import annotations

from pathlib import Path

import click

from metabench.cli._settings import ConfiguredCommand
from metabench.errors import UnavailableError, UsageError

SITE_ROWS = 10_000
"""Rows that a page still shows at once."""


@click.command("build", cls=ConfiguredCommand)
@click.option(
    "--store", type=click.Path(path_type=Path), default="results", show_default=True,
    help="The folder of records.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), default="leaderboards", show_default=True,
    help="The folder of tables.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Processes that read records; one per core."
)
@click.option(
    "--site/--no-site", default=None,
    help="Whether OUT/site is written as well; by default for tables of up to 10,000 rows.",
)  # fmt: skip
def build(*, store: Path, out: Path, jobs: int | None, site: bool | None) -> None:
    """Build the tables and the site from every record of a store.

    What was read is kept in the store's cache, so that building again reads what is new.
    """
    from metabench.leaderboard.audits import read_audits
    from metabench.leaderboard.publish import publish
    from metabench.leaderboard.shares import Shares
    from metabench.runs.store import Store

    if not (store / "records").is_dir():
        raise UsageError(f"{store} holds no records; `metabench run --store {store}` makes some")
    opened = Store(store.resolve())
    audits, damaged = read_audits(opened.root)
    written, paths = publish(Shares(opened, audits, jobs).prepare(), out)
    for text in (*opened.quarantined, *damaged, *written.tables.messages):
        click.echo(f"metabench: warning: {text}", err=True)
    for path in paths:
        click.echo(f"wrote   {path}")
    if site is False or (site is None and len(written.tables.entries) > SITE_ROWS):
        click.echo(f"no site; to make one: metabench leaderboard site --store {store}")
        return
    try:
        click.echo(f"site    {_write_site(store, out / 'site')}")
    except UnavailableError as error:
        if site:
            raise
        click.echo(f"metabench: warning: no site: {error}", err=True)


def _write_site(store: Path, out: Path) -> Path:
    from metabench.cli._tables import read_tables
    from metabench.site.build import write_site

    tables, overall, audits = read_tables(store, warn=False)  # all is said already
    return write_site(tables, overall, out, audits)
