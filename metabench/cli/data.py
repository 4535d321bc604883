"""``metabench data``: the files of sources that are not embedded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from metabench.cli._common import (
    EXIT_FAILURE,
    LazyGroup,
    open_catalogue,
    plain,
    plugin_options,
    print_json,
    print_table,
)
from metabench.cli._settings import ConfiguredCommand
from metabench.errors import MetabenchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from metabench.registry.catalogue import Catalogue
    from metabench.tasks.upstream import SourceFile

_data_option = click.option(
    "--data", "data_dir", type=click.Path(path_type=Path), help="The data directory."
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_sources_argument = click.argument("sources", nargs=-1, metavar="[SOURCE]...")


@click.group("data", cls=LazyGroup, lazy={})
def data() -> None:
    """List, check and fetch the data files of the sources."""


@data.command("list", cls=ConfiguredCommand, short_help="List files, and which are there.")
@_sources_argument
@_data_option
@_json_option
@plugin_options
def list_(
    *,
    sources: tuple[str, ...],
    data_dir: Path | None,
    as_json: bool,
    plugins: tuple[str, ...],
    strict_plugins: bool,
) -> None:
    """List the files of each source, and which of them are below the data directory."""
    catalogue = open_catalogue(plugins, strict_plugins=strict_plugins)
    files = _files(catalogue, sources, data_dir)
    if as_json:
        print_json([{**plain(f), "presence": f.presence, "remedy": f.remedy} for f in files])
        return
    _print_files(
        data_dir, [(f, f.presence, f.remedy if f.presence == "missing" else "") for f in files]
    )


@data.command("check", cls=ConfiguredCommand, short_help="Verify the files that are there.")
@_sources_argument
@_data_option
@_json_option
@plugin_options
def check(
    *,
    sources: tuple[str, ...],
    data_dir: Path | None,
    as_json: bool,
    plugins: tuple[str, ...],
    strict_plugins: bool,
) -> int:
    """Verify the files that are there; fail if one is wrong, or is missing from a named SOURCE."""
    from metabench.tasks.upstream import recorded_digests, verify

    catalogue = open_catalogue(plugins, strict_plugins=strict_plugins)
    files = _files(catalogue, sources, data_dir)
    recorded = recorded_digests(data_dir) if data_dir else {}
    checked = [(file, *verify(file, recorded)) for file in files]
    if as_json:
        print_json(
            [
                {"source": f.source, "path": f.file.path, "state": verdict, "detail": detail}
                for f, verdict, detail in checked
            ]
        )
    else:
        _print_files(
            data_dir,
            [(f, verdict, "" if verdict == "ok" else text) for f, verdict, text in checked],
        )
    bad = ("wrong", "missing") if sources else ("wrong",)
    return EXIT_FAILURE if any(verdict in bad for _, verdict, _ in checked) else 0


@data.command("fetch", cls=ConfiguredCommand, short_help="Download and verify files.")
@_sources_argument
@click.option("--all", "everything", is_flag=True, help="Fetch for every source.")
@_data_option
@plugin_options
def fetch(
    *,
    sources: tuple[str, ...],
    everything: bool,
    data_dir: Path | None,
    plugins: tuple[str, ...],
    strict_plugins: bool,
) -> int:
    """Download the files of each SOURCE into the data directory and verify them."""
    from metabench.tasks import upstream

    catalogue = open_catalogue(plugins, strict_plugins=strict_plugins)
    if bool(sources) == everything:
        named = [name for name, entry in catalogue.sources.items() if entry.info.files]
        raise UsageError(f"name the sources, or --all; with files: {', '.join(named) or 'none'}")
    if data_dir is None:
        raise UsageError("there is no data directory; set --data or METABENCH_DATA")
    files = _files(catalogue, sources, data_dir)
    if not files:
        click.echo(f"nothing to fetch: {', '.join(sources) or 'no source'} reads no files")
    return _fetch_each(files, lambda file: upstream.fetch(file, data_dir, click.echo))


def _fetch_each(files: list[SourceFile], fetch_one: Callable[[SourceFile], None]) -> int:
    code = 0
    for file in files:
        try:
            fetch_one(file)
        except MetabenchError as error:
            click.echo(f"metabench: error: {error}", err=True)
            code = EXIT_FAILURE
    return code


def _files(
    catalogue: Catalogue, sources: tuple[str, ...], data_dir: Path | None
) -> list[SourceFile]:
    from metabench.tasks.upstream import source_files

    entries = [catalogue.source(name) for name in dict.fromkeys(sources)]
    return source_files(entries or catalogue.sources.values(), data_dir)


def _print_files(data_dir: Path | None, rows: list[tuple[SourceFile, str, str]]) -> None:
    """Print where the files are, their states as a table, and what there is to say below it."""
    if not rows:
        click.echo("no files: every source is embedded or generated")
        return
    if data_dir is None:
        click.echo("there is no data directory; set --data or METABENCH_DATA")
    else:
        click.echo(f"data directory: {data_dir}")
    print_table(
        ("source", "file", "state"),
        [(file.source, file.file.path, state) for file, state, _ in rows],
    )
    for line in dict.fromkeys(_remark(*row) for row in rows if row[2]):
        click.echo(line)


def _remark(file: SourceFile, state: str, text: str) -> str:
    if state == "missing":
        return f"{file.source}: missing files: {text}"
    return f"{file.source}: {file.file.path} {state}: {text}"
