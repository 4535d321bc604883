"""All figures of a set of tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from metabench.site.plots.cost import cost_plots
from metabench.site.plots.difficulty import difficulty_plots
from metabench.site.plots.heat import heat_plots
from metabench.site.plots.plot import Plot, styled
from metabench.site.plots.ranks import rank_plots
from metabench.site.plots.shots import shot_plots

if TYPE_CHECKING:
    from metabench.leaderboard.overall import OverallRow
    from metabench.leaderboard.tables import Tables


def every_plot(tables: Tables, overall: Sequence[OverallRow]) -> Iterator[Plot]:
    """Draw every figure, first those over all domains.

    Args:
        tables: What `metabench.leaderboard.tables.build_tables` made.
        overall: What `metabench.leaderboard.overall.build_overall` made of it.
    """
    with styled():
        found = [
            *rank_plots(overall),
            *heat_plots(tables, overall),
            *cost_plots(tables, overall),
            *shot_plots(tables),
            *difficulty_plots(tables),
        ]
    yield from found
