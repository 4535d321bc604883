"""The tables at the end of a run, for a terminal of 80 columns or more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from metabench.leaderboard.printed import (
    RANGE,
    TRANSDUCTIVE,
    blocks_of,
    facts_of,
    metric_text,
    rank_text,
    score_text,
    short_text,
    unanswered,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

    from metabench.leaderboard.row import Row
    from metabench.leaderboard.standing import Standings

_PLAIN = str.maketrans({"±": "+-", RANGE: "-", TRANSDUCTIVE: "*", "·": "|", "…": "~"})
_COLUMNS = ("rank", "algorithm", "encoder", "", "train s", "adapt ms")
_GAP = 2
_SMALLEST_NAME = 12
_MOST_ROWS = 20
_GRACE = 4
"""A block this much longer is shown whole."""
_MOST_NAMES = 6
_STATUS_STYLES = {
    "failed": "bold red",
    "killed": "bold red",
    "timeout": "bold red",
    "unavailable": "yellow",
    "inapplicable": "dim",
}

Line = tuple[str, ...]


class DomainTable:
    """One domain's blocks, one per source and protocol, best row first.

    Args:
        domain: The domain's name.
        rows: Its rows, in the order of the CSV.
    """

    def __init__(self, domain: str, rows: Sequence[Row]) -> None:
        self.domain = domain
        self.rows = tuple(rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay the blocks out for the width at hand, with equal columns in each."""
        plain = options.ascii_only
        blocks = blocks_of(self.rows)
        scored = [row for row in self.rows if row.mean is not None]
        widths = _widths(scored, options.max_width, plain=plain)
        encoders = _fitted({_encoder(row) for row in scored}, widths[2])
        yield Rule(Text(self.domain, "bold"), align="left", characters="-" if plain else "─")
        for rows in blocks:
            yield _title(rows, blocks, plain=plain)
            ranked = [row for row in rows if row.mean is not None]
            shown = _shown(ranked)
            if shown:
                yield Padding(_ranked(shown, widths, encoders, plain=plain), (0, 0, 0, _GAP))
            if len(shown) < len(ranked):
                left_out = f"  {len(ranked) - len(shown)} more rows in {self.domain}.csv"
                yield _text(left_out, "dim", plain=plain)
            rest = [row for row in rows if row.mean is None]
            if rest:
                yield Padding(_rest(rest, plain=plain), (0, 0, 0, _GAP))
            yield Text()
        if not all(row.inductive for row in self.rows):
            note = (
                f"{TRANSDUCTIVE} transductive: adapts to all unlabelled queries of a task at once"
            )
            yield _text(note, "dim", plain=plain)


def render_tables(tables: Standings) -> Group:
    """Prepare all tables for ``console.print``.

    Args:
        tables: What `build_tables` made.

    Returns:
        One table per domain, and what a reader must know of them.
    """
    parts: list[DomainTable | Text] = [
        DomainTable(domain, tables.of_domain(domain)) for domain in tables.domains
    ]
    parts.extend(Text(f"note: {message}", "yellow") for message in tables.messages)
    return Group(*parts)


def _shown(ranked: Sequence[Row]) -> list[Row]:
    """The best of a long block, and what needs no encoder (chance), against which it is read."""
    if len(ranked) <= _MOST_ROWS + _GRACE:
        return list(ranked)
    return [*ranked[:_MOST_ROWS], *(row for row in ranked[_MOST_ROWS:] if row.encoder == "none")]


def _title(rows: Sequence[Row], blocks: Sequence[Sequence[Row]], *, plain: bool) -> Text:
    row, facts = rows[0], facts_of(rows, blocks)
    title = _text(row.source, "bold", plain=plain)
    title.append(f"  {row.protocol}")
    title.append_text(_text("  " + " · ".join(facts), "dim", plain=plain))
    return title


def _ranked(
    rows: Sequence[Row], widths: Sequence[int], encoders: Mapping[str, str], *, plain: bool
) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    for heading, width in zip(_headings(rows[0]), widths, strict=True):
        is_name = heading in {"algorithm", "encoder"}
        table.add_column(
            heading,
            justify="left" if is_name else "right",
            width=width,
            overflow="fold",
            no_wrap=not is_name,
        )
    for row in rows:
        style = "bold" if row.rank_low == 1 else ""
        table.add_row(*(Text(cell, style) for cell in _line(row, encoders, plain=plain)))
    return table


def _rest(rows: Sequence[Row], *, plain: bool) -> Table:
    """One entry per status and reason, naming all learners that share them."""
    grid = Table.grid(padding=(0, _GAP, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for status, who, reason in unanswered(rows, _MOST_NAMES):
        line = _text(who, "", plain=plain)
        if reason:
            line.append_text(_text(f": {reason}", "dim", plain=plain))
        grid.add_row(Text(status, _STATUS_STYLES.get(status, "")), line)
    return grid


def _line(row: Row, encoders: Mapping[str, str], *, plain: bool) -> Line:
    encoder = _encoder(row)
    cells = (
        rank_text(row),
        row.algorithm + ("" if row.inductive else f" {TRANSDUCTIVE}"),
        encoders.get(encoder, encoder),
        score_text(row),
        short_text(row.train_seconds),
        short_text(row.adapt_ms_per_task),
    )
    return tuple(map(_plain, cells)) if plain else cells


def _encoder(row: Row) -> str:
    return "" if row.encoder == "none" else row.encoder


def _fitted(names: Iterable[str], width: int) -> dict[str, str]:
    """Leave out the middle of names that are too long, unless two would then look the same."""
    names = set(names)
    tail = (width - 1) * 2 // 3
    short = {
        name: name if Text(name).cell_len <= width else f"{name[: width - 1 - tail]}…{name[-tail:]}"
        for name in names
    }
    return short if len(set(short.values())) == len(names) else {}


def _widths(rows: Sequence[Row], available: int, *, plain: bool) -> list[int]:
    """Column widths; the two name columns shrink first, the longer one before the other."""
    texts = [_COLUMNS, *(_line(row, {}, plain=plain) for row in rows), *map(_headings, rows)]
    widths = [max(Text(cell).cell_len for cell in column) for column in zip(*texts, strict=True)]
    spare = available - _GAP * (len(widths) + 1)
    while sum(widths) > spare and max(widths[1:3]) > _SMALLEST_NAME:
        widths[1 if widths[1] > widths[2] else 2] -= 1
    return widths


def _headings(row: Row) -> Line:
    return tuple(name or metric_text(row) for name in _COLUMNS)


def _text(text: str, style: str, *, plain: bool) -> Text:
    # Text, not markup: a name such as [red] shows as it is.
    return Text(_plain(text) if plain else text, style)


def _plain(text: str) -> str:
    return text.translate(_PLAIN).encode("ascii", "replace").decode()
