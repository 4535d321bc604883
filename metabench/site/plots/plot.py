"""A figure with its words, and how all of them look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, SOFT, RULE, GRID, CONTROL, PAPER = (
    "#1c2024", "#575e66", "#d9dce0", "#e6e8eb", "#868e97", "#ffffff",
)  # fmt: skip
LINES = ("#0072b2", "#b34700", "#00795a", "#a6427f", "#7a5c00", "#4d5bc4")
"""Okabe and Ito (2008), darkened until they reach 4.5:1 on white."""
BAND, BAND_SOFT = "#c9dcea", "#e4edf4"
HEAT = {
    "n3": "#e0a05c", "n2": "#efc391", "n1": "#f9e3c8", "0": "#f3f7fb", "1": "#e1edf7",
    "2": "#cfe2f1", "3": "#b9d5ea", "4": "#9cc4e2", "5": "#7bb0d8", "6": "#5a9acb",
    "7": "#2a6fa8", "8": "#185a90", "9": "#0b4273",
}  # fmt: skip
"""Steps of a normalised score: three below chance, ten above. One hue each, monotone in lightness,
so that they can be told apart without colour."""
ON_LOW, ON_HIGH = "#16191c", "#fffffe"

CLASSES: Mapping[str, str] = {
    INK: "ink", SOFT: "soft", RULE: "rule", GRID: "grid", CONTROL: "control", PAPER: "paper",
    BAND: "band", BAND_SOFT: "band-soft", ON_LOW: "on-low", ON_HIGH: "on-high",
    **{colour: f"c{number}" for number, colour in enumerate(LINES, 1)},
    **{colour: f"heat-{step}" for step, colour in HEAT.items()},
}  # fmt: skip
"""What the style sheet calls each colour: a page swaps them in dark mode."""

SIZE = 11.0
SMALL = 10.0
WIDTH = 420
_LETTER = 6.2
STYLE: Mapping[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": SIZE,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": RULE,
    "axes.labelcolor": SOFT,
    "axes.labelsize": SIZE,
    "axes.unicode_minus": True,
    "axes.facecolor": "none",
    "figure.facecolor": PAPER,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.minor.visible": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "metabench",
    "pdf.fonttype": 42,
    "path.simplify": True,
}


def styled() -> AbstractContextManager[None]:
    """Return a context in which figures look as they do on the site."""
    style: Any = dict(STYLE)
    return mpl.rc_context(style)


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure, ready to be saved or put into a page.

    Attributes:
        name: Its file's name without suffix.
        group: The title of the figures that it stands among.
        title: What it shows.
        caption: How to read it.
        domain: The domain whose page it is on; ``None`` for the overview.
        figure: What was drawn.
        tips: Texts for parts of it, by the parts' ids.
    """

    name: str
    group: str
    title: str
    caption: str
    domain: str | None
    figure: Figure
    tips: Mapping[str, str] = field(default_factory=dict)


def blank(width: float, height: float) -> Figure:
    """Return an empty figure; one unit is a point in a file and a pixel on a page."""
    return Figure(figsize=(width / 72, height / 72), dpi=72)


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes by their place in points, from the upper left corner."""
    whole = figure.get_size_inches() * 72
    axes = figure.add_axes(
        (left / whole[0], 1 - (top + height) / whole[1], width / whole[0], height / whole[1])
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=3)
    return axes


def heat_step(value: float) -> str:
    """Return the step of a normalised score; the pages' script has the same steps."""
    if value <= -0.005:  # noqa: PLR2004 - what is shown as 0 is coloured as 0
        return "n3" if value < -0.25 else "n2" if value < -0.05 else "n1"  # noqa: PLR2004
    return str(max(0, min(9, int(value * 10 + 1e-9))))


def free_places(
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    width: float,
    height: float,
    *,
    steps: Sequence[tuple[float, float]] = (),
    dots: Sequence[tuple[float, float]] = (),
) -> list[tuple[float, float] | None]:
    """Find room for the names of points, the first ones first.

    Args:
        points: Across and up, in points.
        names: What is written beside each.
        width: Of the room.
        height: Of the room.
        steps: Corners of a line that no name may cross.
        dots: Other points, of which a name covers as few as it can.

    Returns:
        For each the left and the middle of its text, or ``None`` where there is no room.
    """
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    for (x, y), (to_x, to_y) in pairwise(steps):
        taken.append((min(x, to_x) - 1, min(y, to_y) - 1, max(x, to_x) + 1, max(y, to_y) + 1))
    found: list[tuple[float, float] | None] = []
    for (x, y), name in zip(points, names, strict=True):
        wide = _LETTER * len(name)
        choices = [
            (x + 3, y + 11), (x - wide - 3, y + 11), (x - wide / 2, y + 13), (x + 7, y),
            (x + 5, y - 11), (x - 7 - wide, y), (x - wide - 3, y - 11), (x - wide / 2, y - 13),
        ]  # fmt: skip
        boxes = [(left, up - 6, left + wide, up + 6) for left, up in choices]
        free = [
            (sum(_meet(box, (x - 3, y - 3, x + 3, y + 3)) for x, y in dots), number)
            for number, box in enumerate(boxes)
            if box[0] >= 0 and box[2] <= width and box[1] >= 0 and box[3] <= height
            and not any(_meet(box, other) for other in taken)
        ]  # fmt: skip
        if not free:
            found.append(None)
            continue
        _, place = min(free)
        found.append(choices[place])
        taken.append(boxes[place])
    return found


def _meet(one: Sequence[float], other: Sequence[float]) -> bool:
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]


def spread_out(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels apart along a line, in their order, as little as need be.

    Args:
        wanted: Where each would like to be, in any order.
        gap: Smallest distance between two.
        low: Lower end of the line.
        high: Upper end.

    Returns:
        Where each goes.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    found = [0.0] * len(wanted)
    groups: list[tuple[float, list[int]]] = []
    for i in order:
        members, centre = [i], wanted[i]
        while groups and centre - (len(members) - 1) * gap / 2 < _end(groups[-1], gap) + gap:
            _, earlier = groups.pop()
            members = earlier + members
            ideal = [wanted[m] - position * gap for position, m in enumerate(members)]
            centre = sum(ideal) / len(ideal) + (len(members) - 1) * gap / 2
        groups.append((centre, members))
    floor = low
    for centre, members in groups:
        start = max(floor, centre - (len(members) - 1) * gap / 2)
        for position, member in enumerate(members):
            found[member] = start + position * gap
        floor = start + len(members) * gap
    ceiling = high
    for i in reversed(order):
        found[i] = min(found[i], ceiling)
        ceiling = found[i] - gap
    return found


def _end(group: tuple[float, list[int]], gap: float) -> float:
    return group[0] + (len(group[1]) - 1) * gap / 2
