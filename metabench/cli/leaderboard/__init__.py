"""``metabench leaderboard``: tables that people build, check, merge and publish."""

from __future__ import annotations

import click

from metabench.cli._common import LazyGroup

_HERE = "metabench.cli.leaderboard"
COMMANDS = {
    "build": (f"{_HERE}.build:build", "Build the tables from every record of a store."),
    "verify": (f"{_HERE}.verify:verify", "Compute published tables again and compare."),
    "merge": (f"{_HERE}.merge:merge", "Add the records of other stores to one."),
    "diff": (f"{_HERE}.diff:diff", "Say what differs, and whether by more than chance."),
    "submit-check": (f"{_HERE}.submit_check:submit_check", "Check a submission of records."),
    "site": ("metabench.cli.site:site", "Write the static site of a store's tables."),
    "push": (f"{_HERE}.push:push", "Prepare the tables for another outlet: hf or git."),
}


@click.group("leaderboard", cls=LazyGroup, lazy=COMMANDS)
def leaderboard() -> None:
    """Build leaderboards from records, check, merge, compare and publish them."""
