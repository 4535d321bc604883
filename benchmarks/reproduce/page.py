"""The page ``docs/explanation/reproduction.md``: what was published, what came out, and why."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from table import Comparison

NOTES = Path(__file__).parent / "notes.toml"
INTRODUCTION = """\
# Published numbers, and ours

Made by `python benchmarks/reproduce` from real records; the same rows with their protocol and
episode digests, cost and device are in `leaderboards/reproduction/reproduction.csv`. A row is
*within* if ours lies within the margin of the paper, or *within a rerun's* if only within that of
an independent rerun: 0.5 points of accuracy at 5-way, 1.5 at 20-way, and 0.018 in average
precision, two of FS-Mol's printed standard errors. Every row is one seed; intervals are 95 %,
over what the CSV's `ci_over` says, and do not cover what training anew would change. *Meta-val*
is the score on the validation classes after half the budget and at its end, where the learning
rate is zero; what is tested are the best weights by it. *On* says where a row was run; budgets
that two CPU cores cannot afford were run on a GPU.

To repeat a row, or to resume one that was interrupted:

<!-- skip: hours on real data -->
```bash
mkdir -p DIR && cp -r leaderboards/reproduction/records DIR/
METABENCH_DATA=~/data python benchmarks/reproduce --store DIR
```
"""


def page(comparisons: Iterable[Comparison]) -> str:
    """Write the page.

    Args:
        comparisons: One per published setting, those of a source together.

    Returns:
        Markdown.
    """
    notes = tomllib.loads(NOTES.read_text("utf-8"))
    parts = [INTRODUCTION]
    for source, rows in groupby(comparisons, key=lambda one: one.source):
        found = list(rows)
        about = notes.get(source, {})
        parts.append(f"\n## {about.get('title', source)}\n\n{about.get('protocol', '').strip()}\n")
        parts.append("\n".join(_table(found)) + "\n")
        apart = {one.method for one in found if one.verdict != "within"}
        for method, why in about.get("methods", {}).items():
            if method in apart:
                parts.append(f"**{method}.** {why.strip()}\n")
    return "\n".join(parts)


def _table(rows: list[Comparison]) -> Iterator[str]:
    columns = ("method", "way", "shot", "paper", "independent rerun", "ours (95 % interval)")
    yield f"| {' | '.join((*columns, 'examples', 'meta-val', 'on', 'ours is'))} |"
    yield "| --- " * (len(columns) + 4) + "|"
    for one in rows:
        ours = f"{one.ours} ({one.ci95_low} to {one.ci95_high})" if one.ours else ""
        seen = f"{float(one.examples) / 1e6:.2g} M" if one.examples and one.examples != "0" else ""
        yield (
            f"| {one.method} | {one.way} | {one.shot} | {one.paper} | {one.rerun} | {ours} "
            f"| {seen} | {_grown(one)} | {_place(one)} | {one.verdict} |"
        )


def _grown(one: Comparison) -> str:
    return f"{one.val_half} → {one.val_end}" if one.val_end else ""


def _place(one: Comparison) -> str:
    if not one.device:
        return ""
    name = one.accelerator.removeprefix("NVIDIA ").split()[0] if one.accelerator else one.device
    return f"{name}, {one.precision}"
