"""``metabench leaderboard build``: tables from records."""

from __future__ import annotations

from pathlib import Path

import click

from metabench.cli._settings import ConfiguredCommand
from metabench.errors import UsageError


@click.command("build", cls=ConfiguredCommand)
@click.option(
    "--store", type=click.Path(path_type=Path), default="results", show_default=True,
    help="The folder of records.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), default="leaderboards", show_default=True,
    help="The folder of tables.",
)  # fmt: skip
def build(*, store: Path, out: Path) -> None:
    """Build the tables from every record of a store."""
    from metabench.leaderboard.audits import read_audits
    from metabench.leaderboard.publish import publish
    from metabench.runs.store import Store

    if not (store / "records").is_dir():
        raise UsageError(f"{store} holds no records; `metabench run --store {store}` makes some")
    opened = Store(store.resolve())
    audits, damaged = read_audits(opened.root)
    written, paths = publish(opened.scan_scored(), out, audits)
    for text in (*opened.quarantined, *damaged, *written.tables.messages):
        click.echo(f"metabench: warning: {text}", err=True)
    for path in paths:
        click.echo(f"wrote   {path}")
