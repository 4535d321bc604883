"""``metabench doctor``: is everything as it should be?"""

from __future__ import annotations

from pathlib import Path

import click

from metabench.cli._common import (
    EXIT_FAILURE,
    open_catalogue,
    plugin_options,
    print_json,
    print_table,
)
from metabench.cli._settings import ConfiguredCommand


@click.command("doctor", cls=ConfiguredCommand)
@click.option("--data", "data_dir", type=click.Path(path_type=Path), help="The data directory.")
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="The store that a run would write to.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_options
def doctor(
    *,
    data_dir: Path | None,
    store: Path,
    as_json: bool,
    plugins: tuple[str, ...],
    strict_plugins: bool,
) -> int:
    """Check versions, devices, plugins, data and store; fail if a run could not work."""
    from metabench.cli._health import examine

    catalogue = open_catalogue(plugins, strict_plugins=strict_plugins, quiet=True)
    findings = examine(catalogue, data_dir, store)
    if as_json:
        print_json(findings)
    else:
        print_table(
            ("topic", "name", "status", "found"),
            [(f.topic, f.name, f.status, f.text) for f in findings],
        )
    return EXIT_FAILURE if any(f.status == "fail" for f in findings) else 0
