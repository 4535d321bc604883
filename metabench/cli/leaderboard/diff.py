"""``metabench leaderboard diff``: what changed, and whether by more than chance."""

from __future__ import annotations

from pathlib import Path

import click

from metabench.cli._common import print_json
from metabench.cli._settings import ConfiguredCommand


@click.command("diff", cls=ConfiguredCommand)
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def diff(*, first: Path, second: Path, as_json: bool) -> None:
    """Say how two stores, or two folders of tables, differ.

    Protocols are compared setting by setting, and cells by paired tests on the same test episodes,
    Holm-corrected. Tables without records are compared row by row by their intervals.
    """
    from metabench.leaderboard.changes import compare

    comparison = compare(first, second)
    if as_json:
        print_json(comparison)
        return
    for line in comparison.protocols:
        click.echo(line)
    for change in comparison.changes:
        click.echo(f"{change.verdict}  {change.label}: {change.detail}")
    told = [f"{comparison.same} the same", f"{len(comparison.changes)} not"]
    if comparison.unscored:
        told.append(f"{comparison.unscored} without scores on one side only")
    click.echo(", ".join(told))
