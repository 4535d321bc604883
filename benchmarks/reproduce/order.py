"""The order of methods: how published tables have it, and how ours has it, pair by pair."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

from table import Comparison

from metabench.leaderboard.estimate import estimate
from metabench.leaderboard.evidence import Scored
from metabench.leaderboard.tables import Entry, Tables, build_tables

ORDERS = Path(__file__).parent / "orders.toml"


@dataclass(frozen=True)
class Method:
    """A method of a published table and the row of ours that stands for it."""

    name: str
    algorithm: str
    encoder: str
    published: float


@dataclass(frozen=True)
class Table:
    """A published table, and where ours is.

    Attributes:
        published: What it is of.
        by: Who published it.
        place: Source, way and shot of ours.
        tie: Published differences of less say nothing.
        methods: Its methods that ours has too, or may have.
    """

    published: str
    by: str
    place: tuple[str, str, str]
    tie: float
    methods: tuple[Method, ...]


@dataclass(frozen=True)
class Pair:
    """Two methods; the fields are the columns of the CSV, in order.

    Attributes:
        published: The published table.
        by: Who published it.
        source: The source of ours.
        way: Its way.
        shot: Its shot.
        better: The method that is better in the published table.
        worse: The other one.
        published_better: The published number of the first.
        published_worse: And of the second.
        difference: Ours, in the metric's unit; positive where the order is the published one.
        ci95_low: Lower end of its 95 % interval, over what ``over`` says.
        ci95_high: Upper end.
        over: What the interval lets vary.
        p: Of the paired t-test on the same test episodes, uncorrected.
        order: ``same``, ``other`` or, where p is 5 % or more, ``open``.
    """

    published: str
    by: str
    source: str
    way: str
    shot: str
    better: str
    worse: str
    published_better: str
    published_worse: str
    difference: str
    ci95_low: str
    ci95_high: str
    over: str
    p: str
    order: str


def orders(comparisons: Iterable[Comparison], scored: Iterable[Scored]) -> list[Pair]:
    """Put published orders of methods beside ours.

    Args:
        comparisons: Settings that were repeated; the methods of one setting are a table, whoever
            published them.
        scored: Records of ours, without those of experiments.

    Returns:
        Every pair of methods that published numbers set apart and that ours has on the same test
        episodes.
    """
    tables = [
        *_repeated(comparisons),
        *map(_elsewhere, tomllib.loads(ORDERS.read_text("utf-8"))["tables"]),
    ]
    ours = build_tables(scored)
    return [pair for table in tables for pair in _pairs(table, ours)]


def _elsewhere(table: Mapping[str, Any]) -> Table:
    place = (table["source"], table["way"], table["shot"])
    methods = tuple(Method(*method) for method in table["methods"])
    return Table(table["published"], table["by"], place, table["tie"], methods)


def _repeated(comparisons: Iterable[Comparison]) -> Iterator[Table]:
    for place, found in groupby(sorted(comparisons, key=_place), key=_place):
        rows = [one for one in found if one.paper and one.ordered]
        if len(rows) > 1:
            source, way, shot = place
            setting = f"support of {shot}" if source == "fs-mol" else f"{way}-way {shot}-shot"
            methods = (Method(r.method, r.algorithm, r.encoder, float(r.paper)) for r in rows)
            by = ", ".join(dict.fromkeys(row.paper_by.partition(",")[0] for row in rows))
            margin = float(rows[0].margin)
            yield Table(f"{source}, {setting}", by, place, margin, tuple(methods))


def _place(one: Comparison) -> tuple[str, str, str]:
    return (one.source, one.way, one.shot)


def _pairs(table: Table, ours: Tables) -> Iterator[Pair]:
    """Compare rows on the same test episodes, whatever their budgets."""
    tested: dict[str, dict[tuple[str, str], Entry]] = {}
    for entry in ours.entries:
        cell = entry.evidence.cell
        if entry.scores is not None and (cell.source, cell.way, cell.shot) == table.place:
            others = tested.setdefault(entry.row.episodes_digest, {})
            if others.setdefault((cell.algorithm, cell.encoder), entry) is not entry:
                raise SystemExit(f"{cell.label}: two protocols; remove the older records")
    for entries in tested.values():
        for one, two in combinations(table.methods, 2):
            better, worse = (one, two) if one.published > two.published else (two, one)
            found = [entries.get((method.algorithm, method.encoder)) for method in (better, worse)]
            apart = better.published - worse.published >= table.tie
            if apart and found[0] is not None and found[1] is not None:
                yield _pair(table, (better, worse), (found[0], found[1]))


def _pair(table: Table, methods: tuple[Method, Method], entries: tuple[Entry, Entry]) -> Pair:
    assert entries[0].scores is not None
    assert entries[1].scores is not None
    sides = (entries[0].scores, entries[1].scores)
    turned = sides if entries[0].higher_is_better else (-sides[0], -sides[1])
    found = estimate(turned, unit=entries[0].evidence.unit)
    order = "open" if not found.settled else "same" if found.difference > 0 else "other"
    numbers = (found.difference, found.ci95_low, found.ci95_high)
    return Pair(
        table.published,
        table.by,
        *table.place,
        *(method.name for method in methods),
        *(f"{method.published:g}" for method in methods),
        *("" if number is None else f"{number:.4f}" for number in numbers),
        found.unit,
        f"{found.p:.2g}",
        order,
    )
