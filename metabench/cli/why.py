"""``metabench why``: is a cell found, missing or stale, and what makes it so."""

from __future__ import annotations

from pathlib import Path

import click

from metabench.cli._common import print_json
from metabench.cli._settings import ConfiguredCommand


@click.command("why", cls=ConfiguredCommand)
@click.argument("cell")
@click.option(
    "--store", type=click.Path(path_type=Path), default="results", show_default=True,
    help="The folder of records.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def why(*, cell: str, store: Path, as_json: bool) -> None:
    """Explain why the next run would reuse or rerun CELL.

    CELL is source/encoder/algorithm/protocol/seedN, a beginning of that, or a key. The request is
    that of the last run on the store.
    """
    from metabench.runs.store import Store
    from metabench.runs.why import explain

    opened = Store(store.resolve(), only_read=True)
    explanations = explain(opened, cell)
    for text in dict.fromkeys(opened.quarantined):
        click.echo(f"metabench: warning: {text}", err=True)
    if as_json:
        print_json(
            [
                {"cell": e.label, "verdict": e.verdict, "reasons": e.reasons, "key": e.key}
                for e in explanations
            ]
        )
        return
    for explanation in explanations:
        click.echo(f"{explanation.label}: {explanation.verdict} (key {explanation.key[:16]})")
        for reason in explanation.reasons:
            click.echo(f"  {reason}")
