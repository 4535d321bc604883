"""``metabench audit``: whether algorithms do what they declare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metabench.cli._common import disabled_plugins, plugin_options, print_json, print_table
from metabench.cli._settings import ConfiguredCommand
from metabench.errors import UsageError

if TYPE_CHECKING:
    from metabench.testing.audit import AuditResult


def _split(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[str, ...]:
    return tuple(part for part in (p.strip() for p in (value or "").split(",")) if part)


@click.command("audit", cls=ConfiguredCommand)
@click.argument("algorithms", nargs=-1, metavar="[ALGORITHM]...")
@click.option("--suite", default="quick", show_default=True, help="A suite, or a TOML file.")
@click.option(
    "--source", "--sources", "sources", callback=_split, metavar="A,B",
    help="Task sources; by default one of the suite for each kind of task.",
)  # fmt: skip
@click.option(
    "--encoders", callback=_split, metavar="A,B",
    help="Encoders; by default one for each source, trainable if any is.",
)  # fmt: skip
@click.option("--budget", type=int, help="Meta-training examples; by default the suite's.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--jobs", type=int, help="Worker processes; by default one per core.")
@click.option(
    "--store", type=click.Path(path_type=Path), default="results", show_default=True,
    help="The folder of records; trained weights are found and kept there.",
)  # fmt: skip
@click.option("--data", type=click.Path(path_type=Path), help="The folder of real data sets.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_options
def audit(*, as_json: bool, **options: Any) -> int:
    """Check that each ALGORITHM, by default every one, does what it declares.

    Trained as in a run, it is examined for leaks between queries and between tasks, for what the
    order of classes and examples does, for determinism, and on degenerate supports. Exit code 1 if
    anything is violated.
    """
    from pydantic import ValidationError

    from metabench.cli._watch import ConsoleWatcher
    from metabench.runs.request import RunRequest
    from metabench.runs.suite import first_error
    from metabench.testing.audit import audit as carry_out

    options["disabled"] = tuple(disabled_plugins(options.pop("plugins")))
    options["strict"] = options.pop("strict_plugins")
    try:
        request = RunRequest(**options)
    except ValidationError as error:
        raise UsageError(f"--{first_error(error)}") from error
    watcher = ConsoleWatcher(quiet=as_json)
    with watcher:
        result = carry_out(request, watcher)
    if as_json:
        _print_json(result)
    else:
        _print(result, request.store)
    return result.exit_code


def _print_json(result: AuditResult) -> None:
    print_json(
        {
            "audits": [one.model_dump(mode="json") for one in result.audits],
            "left_out": result.left_out,
            "exit_code": result.exit_code,
        }
    )


def _print(result: AuditResult, store: Path) -> None:
    from metabench.testing import report

    if result.audits:
        print_table(report.COLUMNS, report.table_rows(result))
        for line in ("", *report.legend(), ""):
            click.echo(line)
    for line in report.details(result):
        click.echo(line)
    click.echo(f"{report.summary(result)}; kept in {store / 'audits'}")
