"""``metabench leaderboard merge``: the records of others."""

from __future__ import annotations

from pathlib import Path

import click

from metabench.cli._common import EXIT_FAILURE, print_json
from metabench.cli._settings import ConfiguredCommand


@click.command("merge", cls=ConfiguredCommand)
@click.argument("others", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--store", type=click.Path(path_type=Path), default="results", show_default=True,
    help="The folder of records that grows.",
)  # fmt: skip
@click.option("--origin", default="", help="Who ran them; by default each folder's name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def merge(*, others: tuple[Path, ...], store: Path, origin: str, as_json: bool) -> int:
    """Add the records of OTHERS, stores or folders of records, to a store.

    Only records of equal protocols, data and test episodes are added. Nothing is overwritten: a
    second record of a cell is kept aside and named. Exit code 1 if any is refused or in conflict.
    """
    from metabench.leaderboard.merge import merge as carry_out

    merged = carry_out(others, store, origin)
    code = EXIT_FAILURE if merged.refused or merged.conflicts else 0
    if as_json:
        print_json({**vars(merged), "exit_code": code})
        return code
    for kind, lines in (
        ("refused", merged.refused),
        ("conflict", merged.conflicts),
        ("reproduced", merged.reproduced),
    ):
        for line in lines:
            click.echo(f"{kind}  {line}")
    click.echo(
        f"{store}: {len(merged.added)} added, {merged.known} known already, "
        f"{len(merged.reproduced)} reproduced, {len(merged.conflicts)} in conflict, "
        f"{len(merged.refused)} refused"
    )
    return code
