"""Everything that is published of a store: tables in each format, and the manifest last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from metabench.leaderboard.build import Written, write_prepared
from metabench.leaderboard.latex import write_latex
from metabench.leaderboard.manifest import write_manifest
from metabench.leaderboard.markdown import write_markdown
from metabench.leaderboard.prepared import Prepared

Writer = Callable[[Written, Path], Iterable[Path]]
"""Writes one format of the tables to a folder and returns the files; a new one joins `FORMATS`."""

FORMATS: tuple[Writer, ...] = (write_markdown, write_latex)


def publish(
    prepared: Prepared, out: Path, formats: Sequence[Writer] = FORMATS
) -> tuple[Written, tuple[Path, ...]]:
    """Write the tables as CSV and in other formats, and ``manifest.json``.

    Args:
        prepared: The tables.
        out: The folder.
        formats: What is written beside the CSV files; their files are in the manifest.

    Returns:
        The tables, and every file.

    Raises:
        MetabenchError: If a file cannot be written.
    """
    written = write_prepared(prepared, out)
    paths = [*written.paths]
    for write in formats:
        paths += write(written, out)
    return written, (*paths, write_manifest(prepared.facts, out, paths))
