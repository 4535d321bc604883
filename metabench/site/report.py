"""The figures of the site as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from metabench.atomic import write_bytes
from metabench.errors import unknown_name
from metabench.site.needed import import_needed

if TYPE_CHECKING:
    from metabench.leaderboard.overall import OverallRow
    from metabench.leaderboard.tables import Tables

FORMATS = ("svg", "png", "pdf")


def write_figures(
    tables: Tables, overall_rows: Sequence[OverallRow], out: Path, formats: Sequence[str] = FORMATS
) -> list[Path]:
    """Write every figure of the site in every format.

    Args:
        tables: What `metabench.leaderboard.tables.build_tables` made.
        overall_rows: What `metabench.leaderboard.overall.build_overall` made of it.
        out: The folder; it is made if need be.
        formats: Some of `FORMATS`.

    Returns:
        The files, in the order of the site.

    Raises:
        UsageError: If a format is unknown.
        MetabenchError: If a file cannot be written, or matplotlib is missing.
    """
    for kind in formats:
        if kind not in FORMATS:
            raise unknown_name("format", kind, FORMATS)
    import_needed("matplotlib")
    from metabench.site.plots.every import every_plot  # noqa: PLC0415 - matplotlib takes a second
    from metabench.site.plots.inline import save  # noqa: PLC0415

    written = []
    for plot in every_plot(tables, overall_rows):
        for kind in formats:
            path = out / f"{plot.name}.{kind}"
            write_bytes(path, save(plot, kind))
            written.append(path)
    return written
