"""``metabench list``: what can be asked for by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from metabench.cli._common import (
    open_catalogue,
    plain,
    plugin_options,
    print_json,
    print_table,
)
from metabench.cli._settings import ConfiguredCommand
from metabench.errors import unknown_name

if TYPE_CHECKING:
    from metabench.registry.catalogue import Catalogue, Entry

KINDS = ("domains", "sources", "encoders", "algorithms", "metrics", "readers", "suites", "plugins")


@click.command("list", cls=ConfiguredCommand)
@click.argument("kind", required=False, metavar="[" + "|".join(KINDS) + "]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_options
def list_(
    *, kind: str | None, as_json: bool, plugins: tuple[str, ...], strict_plugins: bool
) -> None:
    """List what there is: one kind in full, or without a kind the names of all."""
    if kind is not None and kind not in KINDS:
        raise unknown_name("kind", kind, KINDS)
    show(kind, open_catalogue(plugins, strict_plugins=strict_plugins), as_json=as_json)


def show(kind: str | None, catalogue: Catalogue, *, as_json: bool) -> None:
    """Print one kind, or an overview of all."""
    if kind is None:
        # Suites are checked with pydantic, which costs more than all the rest.
        listed = {each: _listing(each, catalogue) for each in KINDS if each != "suites"}
        if as_json:
            print_json(listed)
        else:
            rows = [
                (each, len(items), ", ".join(item["name"] for item in items))
                for each, items in listed.items()
            ]
            print_table(("kind", "number", "names"), rows)
            click.echo("`metabench list KIND` says more; `metabench list suites` lists the suites")
        return
    items = _listing(kind, catalogue)
    if as_json:
        print_json(items)
    elif not items:
        click.echo(f"no {kind}: no plugin provides any; see `metabench list plugins`")
    else:
        columns = _COLUMNS[kind]
        print_table(columns, [[_cell(item, column) for column in columns] for item in items])


_COLUMNS: Mapping[str, Sequence[str]] = {
    "domains": ("name", "sources"),
    "sources": ("name", "domain", "task_kind", "data", "summary"),
    "encoders": ("name", "modalities", "weights", "summary"),
    "algorithms": ("name", "task_kinds", "inductive", "summary"),
    "metrics": ("name", "task_kinds", "chance", "best", "summary"),
    "readers": ("name", "domain", "modality", "suffixes", "role", "summary"),
    "suites": ("name", "summary"),
    "plugins": ("name", "distribution", "version", "provides"),
}


def _listing(kind: str, catalogue: Catalogue) -> list[dict[str, Any]]:
    if kind == "domains":
        return [
            {
                "name": domain,
                "sources": [n for n, e in catalogue.sources.items() if e.info.domain == domain],
            }
            for domain in catalogue.domains
        ]
    if kind == "suites":
        from metabench.runs.suite import load_suites

        return [
            {"name": suite.name, "summary": suite.summary}
            for _, suite in sorted(load_suites().items())
        ]
    if kind == "plugins":
        return [plain(plugin) for plugin in catalogue.plugins]
    entries: Mapping[str, Entry[Any]] = {
        "sources": catalogue.sources,
        "encoders": catalogue.encoders,
        "algorithms": catalogue.algorithms,
        "metrics": catalogue.metrics,
        "readers": catalogue.readers,
    }[kind]
    return [
        {**plain(entry.info), "plugin": entry.plugin, "version": entry.version}
        for entry in entries.values()
    ]


_CELLS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "name": lambda i: f"{i['name']}:ARGUMENT" if i.get("argument") else i["name"],
    "summary": lambda i: (
        i["summary"] + (f"; ARGUMENT: {i['argument']}" if i.get("argument") else "")
    ),
    "data": lambda i: "files" if i["files"] else "synthetic" if i["synthetic"] else "embedded",
    "weights": lambda i: "trainable" if i["trainable"] else "frozen",
    "inductive": lambda i: "yes" if i["inductive"] else "no",
    "provides": lambda i: ", ".join(f"{n} {kind}" for kind, n in i["provides"].items() if n) or "-",
}


def _cell(item: Mapping[str, Any], column: str) -> str:
    if column in _CELLS:
        return _CELLS[column](item)
    value = item[column]
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return str(value)
