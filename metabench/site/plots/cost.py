"""Score against cost, with the learners that nobody beats in both."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator

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
    free_places,
)

if TYPE_CHECKING:
    from metabench.leaderboard.overall import OverallRow
    from metabench.leaderboard.tables import Entry, Tables

GROUP = "Score against cost"
COSTS = {
    "train_seconds": ("train-time", "seconds of meta-training", "training time"),
    "adapt_ms_per_task": ("adapt-time", "milliseconds per task", "time per task"),
}
_HEIGHT, _LEFT, _TOP, _BOTTOM, _RIGHT = 300.0, 48.0, 10.0, 46.0, 14.0
_LEAST = {"train_seconds": 1e-2, "adapt_ms_per_task": 1e-3}
"""What is free is drawn here: a logarithmic axis has no 0."""
_WORST = -0.1
_MARKERS = {"trainable": ("o", LINES[0]), "frozen": ("s", LINES[1]), "none": ("^", LINES[2])}


@dataclass(frozen=True)
class Point:
    """One learner: what it cost and how well it did."""

    policy: str
    name: str
    cost: float
    score: float
    inductive: bool


def cost_plots(tables: Tables, overall: Sequence[OverallRow]) -> Iterator[Plot]:
    """Draw score against both costs, over all domains and for each."""
    entries: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in tables.entries:
        if entry.row.mean is not None:
            entries[entry.evidence.cell.encoder_policy, entry.row.algorithm].append(entry)
    scores = {
        (row.encoder_policy, row.algorithm): row.normalized
        for row in overall
        if row.normalized is not None
    }
    by_domain = {
        domain: {(row.encoder_policy, row.algorithm): row.by_domain.get(domain) for row in overall}
        for domain in tables.domains
    }
    pages: list[tuple[str | None, Mapping[tuple[str, str], float | None]]]
    pages = [(None, scores), *by_domain.items()]
    for domain, found in pages:
        for column in COSTS:
            points = []
            for name, score in found.items():
                of = [e for e in entries[name] if domain is None or e.row.domain == domain]
                cost = _mean_cost(of, column)
                if score is not None and cost is not None:
                    inductive = all(e.row.inductive for e in of)
                    points.append(Point(name[0], name[1], cost, score, inductive))
            if len(points) > 1:
                yield _draw(points, column, domain)


def _mean_cost(entries: Sequence[Entry], column: str) -> float | None:
    """The geometric mean, so that no single slow source decides."""
    costs = [getattr(entry.row, column) for entry in entries]
    known = [max(cost, _LEAST[column]) for cost in costs if cost is not None]
    if not known or len(known) < len(costs):
        return None
    return math.exp(float(np.mean(np.log(known))))


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other beats in one respect and equals in the other, by cost."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.cost, -p.score, p.policy, p.name)):
        if not front or point.score > front[-1].score:
            front.append(point)
    return front


def _draw(points: Sequence[Point], column: str, domain: str | None) -> Plot:
    stem, unit, short = COSTS[column]
    figure = blank(WIDTH, _HEIGHT)
    width, height = WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    axes = add_axes(figure, _LEFT, _TOP, width, height)
    axes.set_xscale("log")
    costs = [point.cost for point in points]
    axes.set_xlim(min(costs) / 1.6, max(costs) * 1.6)
    top = max(0.1, *(point.score for point in points))
    axes.set_ylim(_WORST - 0.02, top + 0.12 * (top - _WORST))
    axes.set_xlabel(unit)
    axes.set_ylabel("normalised score")
    decades = math.log10(max(costs) / min(costs))
    subs = (1.0,) if decades > 2 else (1.0, 2.0, 5.0)  # noqa: PLR2004 - three ticks at least
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.minorticks_off()
    axes.grid(color=GRID, linewidth=1)
    axes.axhline(0, color=CONTROL, linewidth=1)
    axes.set_axisbelow(True)
    front = pareto_front([p for p in points if p.score >= _WORST] or points)
    axes.plot(
        [*(point.cost for point in front), axes.get_xlim()[1]],
        [*(max(point.score, _WORST) for point in front), max(front[-1].score, _WORST)],
        color=CONTROL, linewidth=1.25, drawstyle="steps-post",
    )  # fmt: skip
    tips = {}
    below = 0
    for number, point in enumerate(points):
        marker, colour = _MARKERS.get(point.policy, _MARKERS["none"])
        below += point.score < _WORST
        (dot,) = axes.plot(
            [point.cost], [max(point.score, _WORST)], marker if point.score >= _WORST else "v",
            markersize=6.5 if point in front else 5, markeredgewidth=1.25, color=colour,
            markerfacecolor=colour if point.inductive else "none", clip_on=False,
        )  # fmt: skip
        dot.set_gid(f"dot-{number}")
        tips[f"dot-{number}"] = (
            f"{point.name} ({point.policy}): {point.score:.3f}, {point.cost:,.3g} {unit}"
        )
    _label(axes, front, points, width, height)
    where = "over all domains" if domain is None else f"on {domain}"
    kinds = sorted({point.policy for point in points})
    shapes = {"trainable": "circles: trainable encoder", "frozen": "squares: frozen",
              "none": "triangles: no encoder"}  # fmt: skip
    legend = ", ".join(shapes[kind] for kind in kinds if kind in shapes)
    outside = f" Below \N{MINUS SIGN}{-_WORST}, at the lower edge: {below}." if below else ""
    return Plot(
        name=stem if domain is None else f"{stem}-{file_stem(domain)}",
        group=GROUP,
        title=f"Score against {short}, {where}",
        caption=f"The line joins learners that none beats in both; {legend}; hollow: transductive. "
        f"Costs are geometric means.{outside}",
        domain=domain,
        figure=figure,
        tips=tips,
    )


def _label(
    axes: Axes, front: Sequence[Point], points: Sequence[Point], width: float, height: float
) -> None:
    """Name the front's points where there is room, those first that gain most on the one before."""
    low, high = axes.get_ylim()
    left, right = axes.get_xlim()
    before = [_WORST, *(point.score for point in front)]
    gains = {id(point): point.score - last for point, last in zip(front, before, strict=False)}
    shown = sorted((p for p in front if p.score >= _WORST), key=lambda p: -gains[id(p)])

    def place_of(point: Point) -> tuple[float, float]:
        across = math.log(point.cost / left) / math.log(right / left)
        return across * width, (max(point.score, _WORST) - low) / (high - low) * height

    places = [place_of(point) for point in shown]
    dots = [place_of(point) for point in points if point not in front]
    names = [shortened(point.name, 22) for point in shown]
    corners = sorted(places)
    steps = [corner for (_, y), (x, to_y) in pairwise(corners) for corner in ((x, y), (x, to_y))]
    steps = [*corners[:1], *steps, *((width, y) for _, y in corners[-1:])]
    free = free_places(places, names, width, height, steps=steps, dots=dots)
    for name, place in zip(names, free, strict=True):
        if place is not None:
            axes.text(
                place[0] / width, place[1] / height, name, transform=axes.transAxes,
                ha="left", va="center_baseline", fontsize=10.5, color=INK, zorder=5,
            )  # fmt: skip
