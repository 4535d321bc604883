"""``metabench leaderboard site``: the static site of a store's tables."""

from __future__ import annotations

from pathlib import Path

import click

from metabench.cli._settings import ConfiguredCommand
from metabench.cli._tables import read_tables


@click.command("site", cls=ConfiguredCommand)
@click.option(
    "--store", type=click.Path(path_type=Path), default="results", show_default=True,
    help="The folder of records.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), default="site", show_default=True,
    help="The folder of the site.",
)  # fmt: skip
def site(*, store: Path, out: Path) -> None:
    """Write the site of a store's tables: one folder, which opens from disk and from any server."""
    from metabench.site.build import write_site

    tables, overall, audits = read_tables(store)
    click.echo(f"site    {write_site(tables, overall, out, audits)}")
