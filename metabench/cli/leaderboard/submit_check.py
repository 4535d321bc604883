"""``metabench leaderboard submit-check``: the gate that a maintainer runs in CI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metabench.cli._common import open_catalogue
from metabench.cli._settings import ConfiguredCommand
from metabench.cli.leaderboard._options import report, request_of, rerun_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metabench.leaderboard.verify import Check
    from metabench.registry.catalogue import Catalogue
    from metabench.runs.request import RunRequest


@click.command("submit-check", cls=ConfiguredCommand)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--published", type=click.Path(path_type=Path),
    help="The store that the records are meant for: digests must agree, cells be new.",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Print what did not pass, and the counts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@rerun_options
def submit_check(
    *,
    folder: Path,
    published: Path | None,
    quiet: bool,
    as_json: bool,
    rerun: int,
    seed: int,
    **options: Any,
) -> int:
    """Check the records in FOLDER before they are merged.

    One line per finding: layout, checksums and digests, scores against predictions, duplicates,
    plugins with versions and code, times; with --rerun, N cells are carried out again. Exit code 1
    if anything fails.
    """
    catalogue = open_catalogue(options["plugins"], strict_plugins=options["strict_plugins"])
    request = request_of(**options)
    checks = _checks(folder, published, catalogue, request, (rerun, seed))
    return report(checks, quiet=quiet, as_json=as_json)


def _checks(
    folder: Path,
    published: Path | None,
    catalogue: Catalogue,
    request: RunRequest,
    sampled: tuple[int, int],
) -> Iterator[Check]:
    from functools import partial

    from metabench.leaderboard.folder import read_folder
    from metabench.leaderboard.submission import check_submission
    from metabench.runs.known import strangers
    from metabench.runs.rescore import scores_from_predictions

    known = partial(strangers, catalogue=catalogue)
    yield from check_submission(folder, published, known, scores_from_predictions)
    if sampled[0]:
        from metabench.cli._watch import ConsoleWatcher
        from metabench.runs.rerun import rerun, sample

        with ConsoleWatcher() as watcher:
            yield from rerun(sample(read_folder(folder).found, *sampled), request, watcher)
