"""``metabench plugin``: the plugins themselves."""

from __future__ import annotations

import click

from metabench.cli._common import LazyGroup, open_catalogue, plugin_options
from metabench.cli._settings import ConfiguredCommand


@click.group("plugin", cls=LazyGroup, lazy={})
def plugin() -> None:
    """List plugins."""


@plugin.command("list", cls=ConfiguredCommand)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_options
def list_(*, as_json: bool, plugins: tuple[str, ...], strict_plugins: bool) -> None:
    """List the plugins that were loaded, as `metabench list plugins` does."""
    from metabench.cli.list import show

    show("plugins", open_catalogue(plugins, strict_plugins=strict_plugins), as_json=as_json)
