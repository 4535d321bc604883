"""Which episodes are hard for everyone, and which only for some."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from metabench.site.names import file_stem, shortened
from metabench.site.plots.plot import (
    BAND,
    BAND_SOFT,
    CONTROL,
    GRID,
    INK,
    LINES,
    WIDTH,
    Plot,
    add_axes,
    blank,
)

if TYPE_CHECKING:
    from metabench.leaderboard.standing import BlockKey
    from metabench.leaderboard.statistics import FloatArray
    from metabench.leaderboard.tables import Entry, Tables

GROUP = "How hard the episodes are"

_HEIGHT, _LEFT, _TOP, _BOTTOM, _RIGHT = 250.0, 48.0, 10.0, 42.0, 12.0
_FEWEST_LEARNERS, _FEWEST_EPISODES = 3, 5
_WORST = -0.5
_DRAWN = 200
"""Most points along the axis."""


def difficulty_plots(tables: Tables) -> Iterator[Plot]:
    """Draw one figure per block: rows on the same episodes."""
    blocks: dict[BlockKey, list[Entry]] = defaultdict(list)
    for entry in tables.entries:
        learns = entry.evidence.cell.encoder_policy != "none"
        if entry.block is not None and learns and entry.evidence.chance != entry.evidence.best:
            blocks[entry.block].append(entry)
    names: dict[str, int] = defaultdict(int)
    for entries in blocks.values():
        scores = normalized_scores(entries)
        if len(entries) < _FEWEST_LEARNERS or scores.shape[1] < _FEWEST_EPISODES:
            continue
        row = entries[0].row
        stem = f"episodes-{file_stem(f'{row.source}-{row.protocol}')}"
        names[stem] += 1
        yield _draw(entries, scores, stem if names[stem] == 1 else f"{stem}-{names[stem]}")


def normalized_scores(entries: Sequence[Entry]) -> FloatArray:
    """Return ``[rows, episodes]`` with chance at 0 and the best possible at 1, cut at -0.5.

    Episodes on which a row has no score are left out for all.
    """
    parts = [np.ravel(e.evidence.scores) for e in entries if e.evidence.scores is not None]
    if not parts:
        return np.empty((0, 0))
    chance, best = entries[0].evidence.chance, entries[0].evidence.best
    scores = (np.stack(parts) - chance) / (best - chance)
    found: FloatArray = np.maximum(scores[:, ~np.isnan(scores).any(axis=0)], _WORST)
    return found


def variance_shares(scores: FloatArray) -> tuple[float, float, float] | None:
    """Split the variance of ``[rows, episodes]`` between rows, between episodes, and the rest.

    The sums of squares of a two-way layout with one observation per cell: Fisher (1925),
    Statistical Methods for Research Workers, section 38.

    Returns:
        Three shares that sum to 1; ``None`` if nothing varies.
    """
    mean = scores.mean()
    total = ((scores - mean) ** 2).sum()
    if total <= 1e-12:  # noqa: PLR2004 - rounding errors
        return None
    rows = scores.shape[1] * ((scores.mean(axis=1) - mean) ** 2).sum()
    episodes = scores.shape[0] * ((scores.mean(axis=0) - mean) ** 2).sum()
    return (
        float(rows / total), float(episodes / total), float(1 - (rows + episodes) / total)
    )  # fmt: skip


def _draw(entries: Sequence[Entry], scores: FloatArray, name: str) -> Plot:
    figure = blank(WIDTH, _HEIGHT)
    axes = add_axes(figure, _LEFT, _TOP, WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM)
    ordered = scores[:, np.argsort(np.median(scores, axis=0), kind="stable")]
    across = np.linspace(0, 100, ordered.shape[1])
    keep = np.unique(np.linspace(0, len(across) - 1, min(_DRAWN, len(across))).astype(int))
    best = int(np.argmax([entry.row.normalized or -np.inf for entry in entries]))
    quantiles = np.quantile(ordered, [0.1, 0.25, 0.5, 0.75, 0.9], axis=0)
    low, q1, middle, q3, high = (_smooth(quantile)[keep] for quantile in quantiles)
    x = across[keep]
    axes.fill_between(x, low, high, color=BAND_SOFT, linewidth=0)
    axes.fill_between(x, q1, q3, color=BAND, linewidth=0)
    axes.plot(x, middle, color=INK, linewidth=1.5)
    axes.plot(x, _smooth(ordered[best])[keep], color=LINES[1], linewidth=1.75)
    axes.axhline(0, color=CONTROL, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xlim(0, 100)
    axes.set_ylim(min(0.0, float(low.min())) - 0.05, 1.03)
    axes.set_xlabel("episodes from hard to easy, %")
    axes.set_ylabel("normalised score")
    axes.grid(axis="y", color=GRID, linewidth=1)
    axes.set_axisbelow(True)
    row = entries[0].row
    top = entries[best].row
    learner = top.algorithm if top.encoder == "none" else f"{top.algorithm} with {top.encoder}"
    return Plot(
        name=name,
        group=GROUP,
        title=f"{row.source}, {row.protocol}",
        caption=f"Black: the median of {len(entries)} rows, shaded: the middle half and the middle "
        f"80 %. Orange: {shortened(learner, 60)}, the best. All smoothed over a tenth of the "
        f"episodes. {_shares(scores)}".strip(),
        domain=row.domain,
        figure=figure,
    )


def _smooth(values: FloatArray) -> FloatArray:
    """A running mean over a tenth of the episodes, of what there is at both ends."""
    reach = max(1, len(values) // 20)
    window = np.ones(2 * reach + 1)
    number = np.convolve(np.ones(len(values)), window, "same")
    smooth: FloatArray = np.convolve(values, window, "same") / number
    return smooth


def _shares(scores: FloatArray) -> str:
    shares = variance_shares(scores)
    if shares is None:
        return ""
    rows, episodes, rest = (f"{100 * share:.0f} %" for share in shares)
    return (
        f"Of the variance, {rows} lies between rows, {episodes} between episodes, {rest} in their "
        "interaction."
    )
