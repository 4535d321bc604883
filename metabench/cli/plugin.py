"""``metabench plugin``: the plugins themselves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from metabench.cli._common import LazyGroup, open_catalogue, plain, plugin_options, print_json
from metabench.cli._settings import ConfiguredCommand
from metabench.errors import UsageError

if TYPE_CHECKING:
    from metabench.testing.review import Review

LICENCES = ("MIT", "Apache-2.0", "BSD-3-Clause")


@click.group("plugin", cls=LazyGroup, lazy={})
def plugin() -> None:
    """Write, check and list plugins."""


@plugin.command("new", cls=ConfiguredCommand)
@click.argument("name")
@click.option("--algorithm", is_flag=True, help="A learner.")
@click.option("--encoder", is_flag=True, help="An encoder.")
@click.option("--source", is_flag=True, help="A task source, of generated data.")
@click.option("--modality", metavar="NAME", help="Of an encoder or source.  [default: image]")
@click.option("--out", type=click.Path(path_type=Path), help="The new folder.  [default: ./NAME]")
@click.option(
    "--licence", type=click.Choice(LICENCES), default=LICENCES[0],
    show_default=True, help="The licence of your code.",
)  # fmt: skip
def new(
    *,
    name: str,
    algorithm: bool,
    encoder: bool,
    source: bool,
    modality: str | None,
    out: Path | None,
    licence: str,
) -> None:
    """Write a complete small distribution NAME, which installs and passes its own tests.

    Exactly one of --algorithm, --encoder and --source says what it adds.
    """
    from metabench.scaffold import write_plugin

    flags = {"algorithm": algorithm, "encoder": encoder, "source": source}
    kinds = [kind for kind, chosen in flags.items() if chosen]
    if len(kinds) != 1:
        raise UsageError("say what it adds: one of --algorithm, --encoder and --source")
    written = write_plugin(name, kinds[0], out, licence=licence, modality=modality or "")
    click.echo(f"wrote {written.folder} ({len(written.files)} files); next:")
    for command in written.commands:
        click.echo(f"  {command}")


@plugin.command("check", cls=ConfiguredCommand)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(*, names: tuple[str, ...], as_json: bool) -> int:
    """Run the conformance kit on each plugin NAME, by default on all that are third-party.

    Everything that a plugin provides is tried on tiny tasks, offline. Exit code 1 if a check is
    violated.
    """
    from metabench.testing.cases import review_plugin, third_party

    wanted = names or third_party()
    if not wanted:
        raise UsageError("no third-party plugin is installed; name one of `metabench plugin list`")
    terminal = sys.stderr.isatty()

    def report(text: object) -> None:
        if terminal:
            click.echo(f"\r\033[K{text}", nl=False, err=True)

    reviews = [review for name in dict.fromkeys(wanted) for review in review_plugin(name, report)]
    report("")
    if as_json:
        print_json([_plain(review) for review in reviews])
    else:
        for number, review in enumerate(reviews):
            click.echo("\n" * bool(number) + "\n".join(review.lines()))
    return int(any(review.violations for review in reviews))


def _plain(review: Review) -> dict[str, object]:
    """Return a review for JSON, with advice where there is something to mend."""
    remarks = [
        {
            "subject": remark.subject,
            "name": remark.name,
            "on": remark.on,
            **remark.finding.model_dump(),
            "advice": plain(remark.advice) if remark.violated else None,
        }
        for remark in review.remarks
    ]
    return {
        "plugin": review.plugin,
        "version": review.version,
        "module": review.module,
        "violations": len(review.violations),
        "remarks": remarks,
    }


@plugin.command("list", cls=ConfiguredCommand)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_options
def list_(*, as_json: bool, plugins: tuple[str, ...], strict_plugins: bool) -> None:
    """List the plugins that were loaded, as `metabench list plugins` does."""
    from metabench.cli.list import show

    show("plugins", open_catalogue(plugins, strict_plugins=strict_plugins), as_json=as_json)
