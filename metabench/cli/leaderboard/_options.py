"""Options and output that the leaderboard commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from metabench.cli._common import EXIT_FAILURE, disabled_plugins, plugin_options, print_json
from metabench.errors import UsageError

if TYPE_CHECKING:
    from metabench.leaderboard.verify import Check
    from metabench.runs.request import RunRequest

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_STORE = Path("results")


def rerun_options(command: F) -> F:
    """Add ``--rerun N`` and what the rerun needs; the command passes them to `request_of`."""
    options = (
        click.option(
            "--rerun", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
            help="Carry N cells out again, and compare their scores.",
        ),
        click.option(
            "--seed", type=int, default=0, show_default=True, help="Which cells are drawn."
        ),
        click.option("--device", default="auto", show_default=True, help="For the rerun."),
        click.option("--jobs", type=int, help="Worker processes of the rerun."),
        click.option("--data", type=click.Path(path_type=Path), help="The folder of real data."),
        plugin_options,
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def request_of(
    *,
    device: str,
    jobs: int | None,
    data: Path | None,
    plugins: Iterable[str],
    strict_plugins: bool,
) -> RunRequest:
    """Make the request of a rerun.

    Raises:
        UsageError: If a value is out of range.
    """
    from pydantic import ValidationError

    from metabench.runs.request import RunRequest
    from metabench.runs.suite import first_error

    try:
        return RunRequest(
            device=device,
            jobs=jobs,
            data=data,
            disabled=disabled_plugins(plugins),
            strict=strict_plugins,
        )
    except ValidationError as error:
        raise UsageError(f"--{first_error(error)}") from error


def store_beside(folder: Path, store: Path | None) -> Path:
    """Return the store to use: as given, else the folder's own records, else ``results``."""
    if store is not None:
        return store.resolve()
    return (folder if (folder / "records").is_dir() else DEFAULT_STORE).resolve()


def report(checks: Iterable[Check], *, quiet: bool, as_json: bool) -> int:
    """Print checks as they come, and a summary; return the exit code.

    Args:
        checks: The checks.
        quiet: Whether those that passed are only counted.
        as_json: Whether one JSON document is printed instead.
    """
    counts = {"pass": 0, "fail": 0, "unchecked": 0}
    kept = []
    for check in checks:
        counts[check.outcome] += 1
        if as_json:
            kept.append(check)
        elif check.outcome != "pass" or not quiet:
            click.echo(str(check))
    code = EXIT_FAILURE if counts["fail"] else 0
    if as_json:
        print_json({"checks": kept, "counts": counts, "exit_code": code})
    else:
        told = [f"{counts['pass']} pass", f"{counts['fail']} fail"]
        told += [f"{counts['unchecked']} unchecked"] * bool(counts["unchecked"])
        click.echo(", ".join(told))
    return code
