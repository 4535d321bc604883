"""The heat map: normalised score of every learner on every source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Rectangle

from metabench.site.names import shortened
from metabench.site.plots.plot import (
    CONTROL,
    HEAT,
    INK,
    ON_HIGH,
    ON_LOW,
    SOFT,
    Plot,
    add_axes,
    blank,
    heat_step,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from metabench.leaderboard.overall import OverallRow
    from metabench.leaderboard.tables import Entry, Tables

GROUP = "Algorithm by source"

_CELL_WIDTH, _CELL_HEIGHT, _LABELS, _GAP = 36.0, 16.0, 152.0, 6.0
_LETTER = 5.9
_LOWEST = -0.99
"""Lower scores are told as such: three digits fit."""
_MISSING = "\N{MULTIPLICATION SIGN}"
_DARK_STEPS = frozenset("789")

Source = tuple[str, str]
"""Domain and source."""


def heat_plots(tables: Tables, overall: Sequence[OverallRow]) -> Iterator[Plot]:
    """Draw one map per encoder policy, learners in the order of the overall table."""
    cells: dict[tuple[str, str], dict[Source, list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for entry in tables.entries:
        name = (entry.evidence.cell.encoder_policy, entry.row.algorithm)
        cells[name][entry.row.domain, entry.row.source].append(entry)
    policies: dict[str, list[OverallRow]] = defaultdict(list)
    for row in overall:
        policies[row.encoder_policy].append(row)
    references = policies.pop("none", []) if len(policies) > 1 else []
    for policy, rows in policies.items():
        shown = [*rows, *references]
        sources = sorted(
            {s for row in rows for s, found in cells[row.encoder_policy, row.algorithm].items()
             if any(one.row.status != "inapplicable" for one in found)}
        )  # fmt: skip
        values = [
            [_cell(cells[row.encoder_policy, row.algorithm].get(s, [])) for s in sources]
            for row in shown
        ]
        if sources:
            yield _draw(policy, shown, sources, values)


def _cell(entries: Sequence[Entry]) -> float | str:
    """The mean over protocols and encoders, or the mark of what stands in its place."""
    applicable = [entry for entry in entries if entry.row.status != "inapplicable"]
    if not applicable:
        return ""
    known = [e.row.normalized for e in applicable if e.row.normalized is not None]
    return float(np.mean(known)) if len(known) == len(applicable) else _MISSING


def _draw(
    policy: str,
    rows: Sequence[OverallRow],
    sources: Sequence[Source],
    values: Sequence[Sequence[float | str]],
) -> Plot:
    names = [shortened(source, 20) for _, source in sources]
    top = 38 + _LETTER * max(map(len, names))
    lefts, right = _columns(sources)
    middles = _middles(rows)
    tall = middles[-1] + _CELL_HEIGHT / 2
    figure = blank(_LABELS + right + 16, top + tall + 6)
    axes = add_axes(figure, _LABELS, top, right, tall)
    axes.set_xlim(0, right)
    axes.set_ylim(tall, 0)
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    labels = [shortened(row.algorithm, 22) + ("" if row.inductive else " †") for row in rows]
    axes.set_yticks(middles, labels)
    axes.tick_params(axis="y", length=0, pad=6, labelcolor=INK, labelsize=11)
    for left, name in zip(lefts, names, strict=True):
        axes.text(
            left + _CELL_WIDTH / 2 + 3, -5, name, rotation=90, ha="center", va="bottom",
            fontsize=10, color=INK,
        )  # fmt: skip
    _write_domains(axes, sources, lefts, -(top - 22))
    tips = {}
    for position, row in enumerate(rows):
        for left, (_, source), value in zip(lefts, sources, values[position], strict=True):
            identity = f"cell-{position}-{left:.0f}"
            if _fill(axes, left, middles[position], value, identity):
                tips[identity] = f"{row.algorithm} on {source}: {value:.3f}"
    return Plot(
        name=f"heat-{policy}",
        group=GROUP,
        title=f"Normalised score with {policy} encoders",
        caption=(
            "In hundredths: 0 is chance, 100 the best possible, orange is below chance; mean over "
            "protocols and encoders. Empty: the learner does not apply. "
            f"{_MISSING}: a cell is missing; such learners, and references, stand apart below. "
            "† transductive."
        ),
        domain=None,
        figure=figure,
        tips=tips,
    )


def _columns(sources: Sequence[Source]) -> tuple[list[float], float]:
    """Left ends of the columns, a little apart between domains, and the right end of the last."""
    lefts: list[float] = []
    left = 0.0
    for position, (domain, _) in enumerate(sources):
        if position and domain != sources[position - 1][0]:
            left += _GAP
        lefts.append(left)
        left += _CELL_WIDTH
    return lefts, left


def _middles(rows: Sequence[OverallRow]) -> list[float]:
    """Middles of the rows; those with a rank, without one, and of references a little apart."""
    middles: list[float] = []
    top = 0.0
    for position, row in enumerate(rows):
        before = rows[position - 1] if position else row
        kinds = [(one.rank is None, one.encoder_policy) for one in (row, before)]
        if kinds[0] != kinds[1]:
            top += _GAP
        middles.append(top + _CELL_HEIGHT / 2)
        top += _CELL_HEIGHT
    return middles


def _write_domains(
    axes: Axes, sources: Sequence[Source], lefts: Sequence[float], above: float
) -> None:
    spans: dict[str, list[float]] = defaultdict(list)
    for (domain, _), left in zip(sources, lefts, strict=True):
        spans[domain].append(left)
    for domain, found in spans.items():
        start, end = found[0] + 1, found[-1] + _CELL_WIDTH - 1
        room = max(3, int((end - start) / 5.2))
        axes.text(
            start, above - 4, shortened(domain, room), ha="left", va="bottom", fontsize=10,
            color=SOFT,
        )  # fmt: skip
        axes.plot([start, end], [above, above], color=CONTROL, linewidth=1, clip_on=False)


def _fill(axes: Axes, left: float, middle: float, value: float | str, identity: str) -> bool:
    centre = left + _CELL_WIDTH / 2
    if isinstance(value, str):
        axes.text(centre, middle, value, ha="center", va="center", fontsize=10, color=SOFT)
        return False
    step = heat_step(value)
    shape = Rectangle(
        (left + 0.5, middle - _CELL_HEIGHT / 2 + 0.5), _CELL_WIDTH - 1, _CELL_HEIGHT - 1,
        facecolor=HEAT[step], linewidth=0,
    )  # fmt: skip
    shape.set_gid(identity)
    axes.add_patch(shape)
    number = f"{100 * max(value, _LOWEST):.0f}".replace("-", "\N{MINUS SIGN}")
    number = "0" if number == "\N{MINUS SIGN}0" else number
    shown = f"<{number}" if value < _LOWEST else number
    colour = ON_HIGH if step in _DARK_STEPS else ON_LOW
    axes.text(centre, middle, shown, ha="center", va="center_baseline", fontsize=10, color=colour)
    return True
