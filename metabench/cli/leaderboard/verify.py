"""``metabench leaderboard verify``: published tables against their records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metabench.cli._settings import ConfiguredCommand
from metabench.cli.leaderboard._options import report, request_of, rerun_options, store_beside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metabench.leaderboard.verify import Check
    from metabench.runs.request import RunRequest


@click.command("verify", cls=ConfiguredCommand)
@click.argument("folder", type=click.Path(path_type=Path), default="leaderboards")
@click.option(
    "--store", type=click.Path(path_type=Path),
    help="The folder of records; by default FOLDER if it holds records, else results.",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Print what did not pass, and the counts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@rerun_options
def verify(
    *,
    folder: Path,
    store: Path | None,
    quiet: bool,
    as_json: bool,
    rerun: int,
    seed: int,
    **options: Any,
) -> int:
    """Compute every number of the tables in FOLDER again from the records.

    Each row passes or fails, and so do the files' hashes and the records' digests. With --rerun, N
    cells are carried out again as well. Exit code 1 if anything fails.
    """
    where = store_beside(folder, store)
    request = request_of(**options) if rerun else None
    checks = _checks(folder, where, request, rerun, seed)
    return report(checks, quiet=quiet, as_json=as_json)


def _checks(
    folder: Path, store: Path, request: RunRequest | None, number: int, seed: int
) -> Iterator[Check]:
    from metabench.leaderboard.folder import read_folder
    from metabench.leaderboard.verify import verify as checks_of
    from metabench.runs.rescore import scores_from_predictions

    yield from checks_of(folder, store, scores_from_predictions)
    if request is not None:
        from metabench.cli._watch import ConsoleWatcher
        from metabench.runs.rerun import rerun, sample

        with ConsoleWatcher() as watcher:
            yield from rerun(sample(read_folder(store).found, number, seed), request, watcher)
