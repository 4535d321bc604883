"""``metabench recommend``: which learner and encoder to use, how good it will be, how surely."""

from __future__ import annotations

from pathlib import Path

import click

from metabench.cli._common import EXIT_FAILURE, plain, print_json
from metabench.cli._settings import ConfiguredCommand


@click.command("recommend", cls=ConfiguredCommand)
@click.option(
    "--store", type=click.Path(path_type=Path), default="results", show_default=True,
    help="The folder of records.",
)  # fmt: skip
@click.option("--source", default="", metavar="NAME", help="The source, where there are several.")
@click.option(
    "--shots", default="", metavar="K",
    help="Labelled examples per class; of fixed tasks, in all.  [default: the most that was run]",
)  # fmt: skip
@click.option(
    "--transductive", is_flag=True,
    help="All queries of a task come at once: recommend learners that need that as well.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def recommend(*, store: Path, source: str, shots: str, transductive: bool, as_json: bool) -> int:
    """Recommend a learner and an encoder, by the records of a store, in five lines.

    Of all that is within one standard error of the best mean, the cheapest is picked, and what luck
    has added to the mean of the one that was picked is taken off.
    """
    from metabench.leaderboard.advice import in_lines
    from metabench.leaderboard.recommend import recommend_store
    from metabench.runs.store import Store

    opened = Store(store.resolve(), only_read=True)
    found = recommend_store(opened, source=source, shot=shots, together=transductive)
    for text in (*opened.quarantined, *found.messages):
        click.echo(f"metabench: warning: {text}", err=True)
    if as_json:
        print_json({**plain(found), "lines": in_lines(found)})
    else:
        click.echo("\n".join(in_lines(found)))
    return 0 if found.pick is not None else EXIT_FAILURE
