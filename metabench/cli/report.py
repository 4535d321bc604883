"""``metabench report``: the figures of a store's tables as files."""

from __future__ import annotations

from pathlib import Path

import click

from metabench.cli._settings import ConfiguredCommand
from metabench.cli._tables import read_tables


def _split(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[str, ...]:
    parts = (part.strip().lower() for part in (value or "").split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


@click.command("report", cls=ConfiguredCommand)
@click.option(
    "--store", type=click.Path(path_type=Path), default="results", show_default=True,
    help="The folder of records.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), default="report", show_default=True,
    help="The folder of figures.",
)  # fmt: skip
@click.option(
    "--format", "formats", callback=_split, default="svg", show_default=True, metavar="A,B",
    help="svg, png, pdf, or several of them.",
)  # fmt: skip
def report(*, store: Path, out: Path, formats: tuple[str, ...]) -> None:
    """Draw the figures of the site: ranks, heat map, cost, shots and difficulty of episodes."""
    from metabench.errors import UsageError
    from metabench.site.report import FORMATS, write_figures

    if not formats:
        raise UsageError(f"--format is empty; known: {', '.join(FORMATS)}")
    tables, overall, _ = read_tables(store)
    written = write_figures(tables, overall, out, formats)
    for path in written:
        click.echo(f"figure  {path}")
    if not written:
        click.echo(f"metabench: warning: {store} holds too few numbers for a figure", err=True)
