"""``metabench leaderboard``: tables from records, and what sets two protocols apart."""

from __future__ import annotations

from pathlib import Path

import click

from metabench.cli._common import LazyGroup
from metabench.cli._settings import ConfiguredCommand
from metabench.errors import UsageError

COMMANDS = {"site": ("metabench.cli.site:site", "Write the static site of a store's tables.")}


@click.group("leaderboard", cls=LazyGroup, lazy=COMMANDS)
def leaderboard() -> None:
    """Build leaderboards from records, and compare them."""


@leaderboard.command("build", cls=ConfiguredCommand)
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
    from metabench.leaderboard.build import write_leaderboards
    from metabench.runs.store import Store

    if not (store / "records").is_dir():
        raise UsageError(f"{store} holds no records; `metabench run --store {store}` makes some")
    opened = Store(store.resolve())
    audits, damaged = read_audits(opened.root)
    written = write_leaderboards((opened.scored(record) for record in opened.scan()), out, audits)
    for text in (*opened.quarantined, *damaged, *written.tables.messages):
        click.echo(f"metabench: warning: {text}", err=True)
    for path in written.paths:
        click.echo(f"table   {path}")


@leaderboard.command("diff", cls=ConfiguredCommand)
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
def diff(*, first: Path, second: Path) -> None:
    """Say how the protocols of two stores differ, source by source."""
    from metabench.leaderboard.diff import describe_difference
    from metabench.runs.store import Store

    sides = []
    for folder in (first, second):
        if not (folder / "records").is_dir():
            raise UsageError(f"{folder} holds no records")
        found: dict[tuple[str, str], dict[str, object]] = {}
        for record in Store(folder.resolve(), only_read=True).scan():
            name = (record.cell.source, record.cell.protocol)
            found[name] = {
                **record.provenance.get("protocol", {}),
                "digest": record.cell.protocol_digest,
                "episodes_digest": record.episodes_digest,
            }
        sides.append(found)
    for source, protocol in sorted({*sides[0], *sides[1]}):
        left, right = (side.get((source, protocol)) for side in sides)
        if left is None or right is None:
            click.echo(f"{source} {protocol}: only in {first if right is None else second}")
            continue
        lines = describe_difference(left, right)
        click.echo(f"{source} {protocol}: " + ("; ".join(lines) if lines else "the same"))
