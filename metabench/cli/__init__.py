"""The command line: one module per command, each imported only when it is called."""

from __future__ import annotations

from typing import Any

import click

from metabench.cli._common import LazyGroup, Main

COMMANDS = {
    "run": ("metabench.cli.run:run", "Run every algorithm on every source and build the tables."),
    "list": ("metabench.cli.list:list_", "List domains, sources, encoders, algorithms and more."),
    "compare": (
        "metabench.cli.compare:compare",
        "Compare two algorithms on the same episodes.",
    ),
    "recommend": (
        "metabench.cli.recommend:recommend",
        "Recommend a learner and an encoder for a source.",
    ),
    "export": ("metabench.cli.export:export", "Save a trained learner for use elsewhere."),
    "leaderboard": (
        "metabench.cli.leaderboard:leaderboard",
        "Build, verify, merge and compare leaderboards.",
    ),
    "report": ("metabench.cli.report:report", "Draw the figures of a store's tables as files."),
    "audit": ("metabench.cli.audit:audit", "Check that algorithms do what they declare."),
    "why": ("metabench.cli.why:why", "Explain why a cell is found, missing or stale."),
    "data": ("metabench.cli.data:data", "List, check and fetch the data files of the sources."),
    "plugin": ("metabench.cli.plugin:plugin", "Write, check and list plugins."),
    "doctor": ("metabench.cli.doctor:doctor", "Check the installation, the data and the plugins."),
}


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: Any) -> None:
    if not wanted or context.resilient_parsing:
        return
    import platform

    import metabench
    from metabench.cli._common import open_catalogue

    click.echo(f"metabench {metabench.__version__} (Python {platform.python_version()})")
    for plugin in open_catalogue().plugins:
        if plugin.distribution != "metabench":
            click.echo(f"  {plugin.name}: {plugin.distribution} {plugin.version}")
    context.exit()


@click.group(
    cls=Main,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the versions of metabench and of every plugin.",
)
def main() -> None:
    """Find out which few-shot learner works best, on which data, at what cost, and how surely.

    The main job, offline and without further flags: metabench run --domains vision,nlp
    """


__all__ = ["LazyGroup", "main"]
