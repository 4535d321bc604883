"""How the score grows with the number of support examples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from metabench.site.names import file_stem, shortened
from metabench.site.plots.plot import (
    CONTROL,
    GRID,
    INK,
    LINES,
    WIDTH,
    Plot,
    add_axes,
    blank,
    spread_out,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from metabench.leaderboard.row import Row
    from metabench.leaderboard.standing import BlockKey
    from metabench.leaderboard.tables import Tables

GROUP = "Score against shots"

_HEIGHT, _LEFT, _TOP, _BOTTOM, _RIGHT = 270.0, 52.0, 10.0, 42.0, 126.0
_NAMED = 6
_MARKERS = ("o", "s", "^", "D", "v", "P")
_WORST = -0.5

Curve = list["Row"]


def shot_plots(tables: Tables) -> Iterator[Plot]:
    """Draw one figure per source and encoder with at least two shots."""
    found: dict[tuple[str, ...], dict[int, dict[BlockKey, dict[str, Row]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(dict))
    )
    higher: dict[str, bool] = {}
    for entry in tables.entries:
        row = entry.row
        if entry.block is None or not row.shot.isdecimal() or row.encoder == "none":
            continue
        family = row.protocol.removesuffix("-custom").removesuffix(f"{row.shot}s")
        place = (row.domain, row.source, row.encoder, row.way, row.metric, family)
        found[place][int(row.shot)][entry.block][row.algorithm] = row
        higher[row.source] = entry.evidence.higher_is_better
    for at, by_shot in sorted(found.items()):
        curves: dict[str, Curve] = defaultdict(list)
        for _, blocks in sorted(by_shot.items()):
            # Rows of several protocols under one name do not compare: the largest block is shown.
            for name, row in max(blocks.values(), key=len).items():
                curves[name].append(row)
        several = {name: curve for name, curve in curves.items() if len(curve) > 1}
        if len(several) > 1:
            yield _draw(at, several, higher_is_better=higher[at[1]])


def _draw(place: Sequence[str], curves: Mapping[str, Curve], *, higher_is_better: bool) -> Plot:
    domain, source, encoder, way, metric, family = place
    figure = blank(WIDTH, _HEIGHT)
    height = _HEIGHT - _TOP - _BOTTOM
    axes = add_axes(figure, _LEFT, _TOP, WIDTH - _LEFT - _RIGHT, height)
    factor = 100 if metric.endswith("accuracy") else 1
    shots = sorted({int(row.shot) for curve in curves.values() for row in curve})
    positions = {shot: place for place, shot in enumerate(shots)}
    order = sorted(curves, key=lambda name: (-_last(curves[name]), name))
    named = order[:_NAMED]
    for name in reversed(order):
        curve = curves[name]
        across = [positions[int(row.shot)] for row in curve]
        means = [factor * _shown(row.mean, row, higher_is_better) for row in curve]
        if name not in named:
            axes.plot(across, means, color=CONTROL, linewidth=0.9, alpha=0.55)
            continue
        number = named.index(name)
        for x, row in zip(across, curve, strict=True):
            if row.ci95_low is not None and row.ci95_high is not None:
                both = (row.ci95_low, row.ci95_high)
                bar = [factor * _shown(end, row, higher_is_better) for end in both]
                axes.plot([x, x], bar, color=LINES[number], linewidth=1.5, alpha=0.6)
        axes.plot(
            across, means, marker=_MARKERS[number], markersize=4.5, color=LINES[number],
            linewidth=1.75,
        )  # fmt: skip
    _finish(axes, shots, [row for curve in curves.values() for row in curve], factor)
    axes.set_ylabel(f"{metric} %" if factor > 1 else metric)
    last = {name: curves[name][-1] for name in named}
    ends = {
        name: (positions[int(row.shot)], factor * _shown(row.mean, row, higher_is_better))
        for name, row in last.items()
    }
    _name(axes, ends, height)
    setting = f"{way}-way" if family.endswith("w") else "fixed tasks"
    tail = "" if higher_is_better else " Smaller is better."
    return Plot(
        name=f"shots-{file_stem(f'{source}-{encoder}-{family}'.rstrip('-'))}",
        group=GROUP,
        title=f"{source} with {encoder}, {setting}",
        caption=f"The best {len(named)} at {shots[-1]} shots, with 95 % intervals, of "
        f"{len(curves)} learners; dashed: chance.{tail}",
        domain=domain,
        figure=figure,
    )


def _last(curve: Curve) -> float:
    score = curve[-1].normalized
    return float("-inf") if score is None else score


def _shown(value: float | None, row: Row, higher_is_better: bool) -> float:  # noqa: FBT001
    """The value, or the worst that is drawn: one failure must not flatten all others."""
    assert value is not None
    assert row.mean is not None
    if not row.normalized:
        return value
    worst = row.chance + _WORST * (row.mean - row.chance) / row.normalized
    return max(value, worst) if higher_is_better else min(value, worst)


def _finish(axes: Axes, shots: Sequence[int], rows: Sequence[Row], factor: float) -> None:
    axes.set_xticks(range(len(shots)), [str(shot) for shot in shots])
    axes.set_xlim(-0.15, len(shots) - 1 + 0.12)
    axes.set_xlabel("shots")
    axes.grid(axis="y", color=GRID, linewidth=1)
    axes.set_axisbelow(True)
    axes.axhline(
        factor * float(sum(row.chance for row in rows) / len(rows)), color=CONTROL, linewidth=1,
        linestyle=(0, (4, 3)),
    )  # fmt: skip


def _name(axes: Axes, ends: Mapping[str, tuple[float, float]], height: float) -> None:
    low, high = axes.get_ylim()
    wanted = [(y - low) / (high - low) * height for _, y in ends.values()]
    places = spread_out(wanted, 13, 4, height - 4)
    for number, (name, (x, y)) in enumerate(ends.items()):
        away = places[number] - wanted[number]
        axes.annotate(
            shortened(name, 19), (x, y), xytext=(16, away), textcoords="offset points",
            va="center", fontsize=10.5, color=INK, annotation_clip=False,
        )  # fmt: skip
        axes.annotate(
            "", (x, y), xytext=(14, away), textcoords="offset points", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": LINES[number], "linewidth": 1, "shrinkB": 3,
                        "shrinkA": 0},
        )  # fmt: skip
