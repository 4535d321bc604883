"""The critical-difference diagram: mean ranks, and which of them cannot be told apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from metabench.site.names import shortened
from metabench.site.plots.plot import (
    GRID,
    INK,
    LINES,
    SOFT,
    WIDTH,
    Plot,
    add_axes,
    blank,
)

if TYPE_CHECKING:
    from metabench.leaderboard.overall import OverallRow

GROUP = "Mean rank and critical difference"

_ROW, _LABELS, _TOP, _LANE = 16.0, 152.0, 34.0, 7.0
_MOST_LANES = 14


def rank_plots(overall: Sequence[OverallRow]) -> Iterator[Plot]:
    """Draw one diagram per encoder policy with at least two ranked learners."""
    policies: dict[str, list[OverallRow]] = defaultdict(list)
    for row in overall:
        if row.rank is not None and row.mean_rank is not None:
            policies[row.encoder_policy].append(row)
    for policy, rows in policies.items():
        if len(rows) > 1:
            yield _draw(policy, sorted(rows, key=lambda row: (row.mean_rank or 0, row.algorithm)))


def tie_groups(rows: Sequence[OverallRow]) -> list[tuple[int, int]]:
    """Find the groups of neighbours that cannot be told apart.

    Args:
        rows: By mean rank.

    Returns:
        First and last position of every group of two or more that no other group holds; none if
        the table has no column of critical-difference groups.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        for name in _groups_of(row):
            members[name].append(position)
    spans = sorted({(min(found), max(found)) for found in members.values() if len(found) > 1})
    return [
        span
        for span in spans
        if not any(other != span and other[0] <= span[0] and span[1] <= other[1] for other in spans)
    ]


def _groups_of(row: OverallRow) -> range:
    first, last = _numbers(row, "group_low", "group_high")
    return range(int(first), int(last) + 1) if first is not None and last is not None else range(0)


def _numbers(row: OverallRow, *columns: str) -> tuple[float | None, ...]:
    values = row.values()
    found = (values.get(column) for column in columns)
    return tuple(v if isinstance(v, int | float) else None for v in found)


def _draw(policy: str, rows: Sequence[OverallRow]) -> Plot:
    lanes = _lanes(tie_groups(rows))
    right = 14.0 + _LANE * len(lanes)
    height = _TOP + _ROW * len(rows) + 8
    figure = blank(WIDTH, height)
    axes = add_axes(figure, _LABELS, _TOP, WIDTH - _LABELS - right, _ROW * len(rows))
    ranks = [row.mean_rank or 0.0 for row in rows]
    axes.set_ylim(len(rows) - 0.5, -0.5)
    shown = [end for row in rows for end in _numbers(row, "mean_rank_high") if end is not None]
    axes.set_xlim(0.7, max([*ranks, *shown]) + 0.3)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("mean rank, smaller is better")
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.spines["top"].set_visible(True)
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows])
    axes.tick_params(axis="y", length=0, pad=6, labelcolor=INK, labelsize=11)
    axes.grid(axis="x", color=GRID, linewidth=1)
    axes.set_axisbelow(True)
    tips = {}
    for position, row in enumerate(rows):
        axes.plot([axes.get_xlim()[0], ranks[position]], [position] * 2, color=GRID, linewidth=1)
        colour = LINES[0] if row.inductive else LINES[1]
        marker = "o" if row.inductive else "D"
        low, high = _numbers(row, "mean_rank_low", "mean_rank_high")
        if low is not None and high is not None:
            axes.plot([low, high], [position] * 2, color=colour, linewidth=2, alpha=0.45)
        (dot,) = axes.plot(
            [ranks[position]], [position], marker, color=colour, markersize=5.5, clip_on=False
        )
        dot.set_gid(f"dot-{position}")
        tips[f"dot-{position}"] = f"{row.algorithm}: mean rank {ranks[position]:.2f}"
    for lane, spans in enumerate(lanes):
        across = 1 + (10 + _LANE * lane) / (WIDTH - _LABELS - right)
        for first, last in spans:
            axes.plot(
                [across, across], [first - 0.25, last + 0.25], color=SOFT, linewidth=2.5,
                solid_capstyle="butt", clip_on=False,
                transform=axes.get_yaxis_transform(),
            )  # fmt: skip
    ties = "Bars on the right join learners that the sources cannot tell apart." if lanes else ""
    intervals = ", with 95 % intervals" if shown else ""
    return Plot(
        name=f"critical-difference-{policy}",
        group=GROUP,
        title=f"Mean rank with {policy} encoders" if policy != "none" else "Mean rank",
        caption=f"Over the blocks that a learner was run in{intervals}. Diamonds and † are "
        f"transductive. {ties}".strip(),
        domain=None,
        figure=figure,
        tips=tips,
    )


def _label(row: OverallRow) -> str:
    return shortened(row.algorithm, 22) + ("" if row.inductive else " †")


def _lanes(spans: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Put bars side by side where they would cover each other."""
    lanes: list[list[tuple[int, int]]] = []
    for span in spans:
        lane = next((lane for lane in lanes if lane[-1][1] < span[0]), None)
        if lane is None:
            lanes.append([span])
        else:
            lane.append(span)
    return lanes[:_MOST_LANES]
