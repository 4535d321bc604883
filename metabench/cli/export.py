"""``metabench export``: save a trained learner as a folder that works elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from metabench.cli._settings import ConfiguredCommand


@click.command("export", cls=ConfiguredCommand)
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--store", type=click.Path(path_type=Path), default="results", show_default=True,
    help="The folder of records.",
)  # fmt: skip
@click.option("--source", default="", metavar="NAME", help="The source, where there are several.")
@click.option("--algorithm", default="", metavar="A", help="By default the recommended one.")
@click.option("--encoder", default="", metavar="E", help="By default the recommended one.")
@click.option(
    "--shots", default="", metavar="K",
    help="Labelled examples per class; of fixed tasks, in all.  [default: the most that was run]",
)  # fmt: skip
@click.option("--seed", type=int, help="Whose weights.  [default: the first]")
@click.option("--transductive", is_flag=True, help="As for `metabench recommend`.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--data", type=click.Path(path_type=Path), help="The folder of real data sets.")
def export(*, out: Path, **options: Any) -> None:
    """Save the recommended learner, or one by name, as the folder OUT.

    Its weights come from the store's cache; if they are not there, it is trained again. In Python,
    metabench.load(OUT).adapt(items, labels).predict(more) uses it on new classes.
    """
    from metabench.saved.select import export as save

    store = options.pop("store")
    saved = save(out, store, report=_progress(), **options)
    for text in saved.notes:
        click.echo(f"metabench: warning: {text}", err=True)
    config = saved.config
    encoder = f" with {config.encoder.name}" if config.encoder else ""
    same = f"{saved.agreement.same} of {saved.agreement.queries}"
    click.echo(f"{config.algorithm.name}{encoder}, trained on {config.source}: {saved.folder}")
    click.echo(f"checked: {same} test queries answered as in the record")
    click.echo(f"use     metabench.load({str(saved.folder)!r}).adapt(items, labels).predict(more)")


def _progress() -> Any:
    """Say on stderr that something is trained, a few times."""
    said = -1

    def report(_stage: str, done: int, total: int) -> None:
        nonlocal said
        tenth = 10 * done // max(total, 1)
        if tenth != said:
            said = tenth
            click.echo(f"trains again: {10 * tenth} %", err=True)

    return report
