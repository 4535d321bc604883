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
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Processes that read records; one per core."
)
def build(*, store: Path, out: Path, jobs: int | None) -> None:
    """Build the tables from every record of a store.

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
