"""``metabench run``: every algorithm on every source, and the tables."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metabench.cli._common import (
    EXIT_INTERRUPTED,
    circumstances,
    disabled_plugins,
    listed,
    plain,
    plugin_options,
)
from metabench.cli._own import own_options, settings_of
from metabench.cli._settings import ALGORITHMS, FILE, ConfiguredCommand, read_algorithms
from metabench.errors import UsageError

if TYPE_CHECKING:
    from metabench.leaderboard.recommendation import Recommendation
    from metabench.runs.request import RunRequest
    from metabench.runs.run import RunResult


@click.command("run", cls=ConfiguredCommand, owns_section=True)
@click.option("--suite", default="quick", show_default=True, help="A suite, or a TOML file.")
@listed("--domains", "Domains; by default all.")
@listed("--sources", "Task sources; by default the suite's.")
@listed("--encoders", "Encoders, with name:ARGUMENT where they take one.")
@listed("--algorithms", "Algorithms, or 'all'; by default those of the suite.")
@click.option("--way", help="Classes per episode: a number, or a range (5-50); not of fixed tasks.")
@listed("--shots", "Support examples per class, or 'uneven'; of a fixed task, in all.")
@click.option("--queries", type=int, help="Query examples per class; of a fixed task, in all.")
@click.option("--episodes", type=int, help="Test episodes per seed; not of fixed tasks.")
@listed("--seeds", "Seeds.")
@click.option("--budget", type=int, help="Meta-training examples that each recipe may see.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    default="fp32",
    show_default=True,
    help="Precision of trainable encoders.",
)
@click.option(
    "--plugin-env", multiple=True, metavar="NAME=PYTHON",
    help="Run a plugin's cells in another interpreter or virtual environment. Repeatable.",
)  # fmt: skip
@click.option("--jobs", type=int, help="Worker processes; by default one per core.")
@click.option(
    "--executor", type=click.Choice(["local", "dask"]), default="local", show_default=True
)
@click.option("--dask-address", default="", help="A running Dask scheduler.")
@click.option("--timeout", type=float, default=0.0, help="Seconds that one cell may take.")
@click.option("--shard", metavar="I/N", help="Only the I-th of N parts of the cells.")
@click.option(
    "--store", type=click.Path(path_type=Path), default="results", show_default=True,
    help="The folder of records.",
)  # fmt: skip
@click.option(
    "--leaderboards", type=click.Path(path_type=Path),
    help="The folder of tables.  [default: <store>/leaderboards]",
)  # fmt: skip
@click.option("--data", type=click.Path(path_type=Path), help="The folder of real data sets.")
@own_options
@click.option("--dry-run", is_flag=True, help="Print the plan and an estimate; run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print records and paths as JSON.")
@plugin_options
def run(*, dry_run: bool, as_json: bool, **options: Any) -> int:
    """Run every algorithm on every source and build the tables.

    Finished cells are kept and found again, so the same command resumes an interrupted run.
    """
    request = _request(options)
    if dry_run:
        return _print_plan(request, as_json=as_json)
    from metabench.cli._watch import ConsoleWatcher, counted
    from metabench.runs.run import run as carry_out

    watcher = ConsoleWatcher(quiet=as_json)
    try:
        with watcher:
            result = carry_out(request, watcher)
    except KeyboardInterrupt as error:
        command = shlex.join(["metabench", *sys.argv[1:]])
        kept = f"{counted(watcher.done, 'cell')} finished in this run and kept in {request.store}"
        click.echo(
            f"\ninterrupted{circumstances(error)}: {kept}; resume with\n  {command}", err=True
        )
        return EXIT_INTERRUPTED
    if as_json:
        _print_json(result, request)
    else:
        _print_tables(result, request)
    return result.exit_code


def _request(options: dict[str, Any]) -> RunRequest:
    from pydantic import ValidationError

    from metabench.runs.request import RunRequest
    from metabench.runs.suite import first_error

    options["disabled"] = tuple(disabled_plugins(options.pop("plugins")))
    options["strict"] = options.pop("strict_plugins")
    options["way"] = _number(options["way"])
    options["shots"] = tuple(_number(shot) for shot in options["shots"])
    options["seeds"] = tuple(_number(seed) for seed in options["seeds"])
    options["shard"] = _shard(options["shard"])
    options["plugin_env"] = _environments(options["plugin_env"])
    options["variants"] = read_algorithms(Path(FILE))
    options["reader_options"] = settings_of(options["reader_options"])
    try:
        return RunRequest(**options)
    except ValidationError as error:
        if error.errors()[0]["loc"][0] == "variants":
            fault = first_error(error).removeprefix("variants")
            raise UsageError(f"{Path(FILE).absolute()}: [{ALGORITHMS}]{fault}") from error
        raise UsageError(f"--{first_error(error)}") from error


def _environments(values: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in values:
        name, equals, python = value.partition("=")
        if not (name and equals and python):
            raise UsageError(
                f"--plugin-env {value!r} is not of the form NAME=PYTHON, such as "
                "my-plugin=/path/to/venv"
            )
        if found.setdefault(name, python) != python:
            raise UsageError(f"--plugin-env gives {name} two interpreters: {found[name]}, {python}")
    return found


def _number(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdecimal() else text


def _shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    number, slash, count = text.partition("/")
    if slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
        return int(number), int(count)
    raise UsageError(f"--shard {text!r} is not of the form I/N with 1 <= I <= N, such as 1/4")


def _print_plan(request: RunRequest, *, as_json: bool) -> int:
    from metabench.cli._common import print_table
    from metabench.cli._watch import counted, duration
    from metabench.runs.preview import preview

    plan = preview(request, warn=lambda text: click.echo(f"metabench: warning: {text}", err=True))
    if as_json:
        cells = [
            {**plan_cell.task.cell.model_dump(), "state": plan.state(plan_cell)}
            for plan_cell in plan.cells
        ]
        click.echo(json.dumps({"cells": cells, "estimated_seconds": plan.seconds}, indent=1))
        return 0
    for line in plan.said:
        click.echo(line)
    print_table(("cell", "state"), [(c.task.cell.label, plan.state(c)) for c in plan.cells])
    click.echo(
        f"\n{counted(len(plan.cells), 'cell')}: {len(plan.answered)} found in the store, "
        f"{len(plan.open)} to run, {plan.ruled_out} cannot be run; about "
        f"{duration(plan.seconds / plan.workers)} with {counted(plan.workers, 'worker')}"
    )
    return 0


def _print_json(result: RunResult, request: RunRequest) -> None:
    content = {
        "records": [record.model_dump(mode="json") for record in result.records],
        "tables": [str(path) for path in result.written.paths],
        "messages": result.written.tables.messages,
        "exit_code": result.exit_code,
    }
    if result.own:
        content["recommendation"] = plain(_recommended(result, request))
    click.echo(json.dumps(content, indent=1))


def _print_tables(result: RunResult, request: RunRequest) -> None:
    from metabench.cli._common import make_console
    from metabench.cli._watch import counted
    from metabench.leaderboard.terminal import render_tables

    make_console().print(render_tables(result.written.tables))
    counts: dict[str, int] = {}
    for record in result.records:
        counts[record.status] = counts.get(record.status, 0) + 1
    summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    cells = counted(len(result.records), "cell")
    click.echo(f"{cells}: {summary}; {result.reused} found in the store")
    click.echo(f"store   {request.store}")
    for path in result.written.paths:
        click.echo(f"table   {path}")
    if any(record.failure and record.failure.traceback for record in result.records):
        click.echo(f"errors  {request.store / 'tracebacks'}")
    if result.own:
        _print_recommended(result, request)


def _print_recommended(result: RunResult, request: RunRequest) -> None:
    """Answer the question that own data are brought for."""
    found = _recommended(result, request)
    click.echo()
    click.echo(found)
    if not isinstance(found, str) and found.pick is not None:
        place = ["--store", str(request.store), "--source", result.own, "--shots", found.shot]
        click.echo(f"Save it  metabench export OUT {shlex.join(place)}")


def _recommended(result: RunResult, request: RunRequest) -> Recommendation | str:
    from metabench.errors import MetabenchError
    from metabench.leaderboard.recommend import recommend_run
    from metabench.runs.store import Store

    try:
        store = Store(request.store, only_read=True)
        return recommend_run(store, result.records, result.own)
    except MetabenchError as error:
        return f"{result.own}: no recommendation: {error}"
