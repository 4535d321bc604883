"""The page ``docs/explanation/reproduction.md``: what was published, what came out, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from columns import Measured
from experiments import Experiment
from order import Pair
from table import Comparison

INTRODUCTION = """\
# Published numbers, and ours

Made by `python benchmarks/reproduce` from real records; the same rows with their protocol and
episode digests, cost and device are in `leaderboards/reproduction/reproduction.csv`. A row is
*within* if ours lies within the margin of the paper, or *within a rerun's* if only within that of
an independent rerun: 0.5 points of accuracy at 5-way, 1.5 at 20-way, and 0.018 in average
precision, two of FS-Mol's printed standard errors. Every row is one seed; intervals are 95 %,
over what the CSV's `ci_over` says, and do not cover what training anew would change. *Meta-val*
is the score on the validation classes after half the budget and at its end; what is tested are the
best weights by it. *On* says where a row was run; budgets
that two CPU cores cannot afford were run on a GPU.

To repeat a row, or to resume one that was interrupted:

<!-- skip: hours on real data -->
```bash
mkdir -p DIR && cp -r leaderboards/reproduction/records DIR/
METABENCH_DATA=~/data python benchmarks/reproduce --store DIR
```

Precision is part of what a record answers: rows in bf16 are found again by the same command with
`-- --precision bf16` after it.
"""


ORDER = """
## The order of methods

What published numbers order, whoever published them and on whichever split, beside the order of
ours, whose budgets differ, too. A pair of methods counts if published numbers set it apart by the
margin at least. Ours has the *same* order or the *other* one where a paired t-test on the same test
episodes says so (5 %, uncorrected), and is *open* where it does not. The tests are over episodes or
tasks of one training: they do not cover what training anew would change, and pairs of one table
depend on each other. The last column names published orders that ours turns round. Every pair is in
`leaderboards/reproduction/orders.csv`.
"""


def page(
    comparisons: Iterable[Comparison],
    experiments: Iterable[Experiment],
    pairs: Iterable[Pair],
    notes: Mapping[str, Any],
) -> str:
    """Write the page.

    Args:
        comparisons: One per published setting, those of a source together.
        experiments: What was tried to explain them.
        pairs: Methods that a published table sets apart, those of a table together.
        notes: ``notes.toml``.

    Returns:
        Markdown.
    """
    tried = list(experiments)
    parts = [INTRODUCTION]
    for source, rows in groupby(comparisons, key=lambda one: one.source):
        found = list(rows)
        about = notes.get(source, {})
        parts.append(f"\n## {about.get('title', source)}\n\n{about.get('protocol', '').strip()}\n")
        parts.append("\n".join(_table(found)) + "\n")
        apart = {one.method.partition(" (")[0] for one in found if one.verdict != "within"}
        for method, why in about.get("methods", {}).items():
            if method in apart:
                parts.append(f"**{method}.** {why.strip()}\n")
        of_source = [one for one in tried if one.source == source]
        if of_source:
            parts.append(f"### Experiments\n\n{about['experiments'].strip()}\n")
            parts.append("\n".join(_experiments(of_source)) + "\n")
    parts.append(ORDER)
    parts.append("\n".join(_orders(list(pairs))) + "\n")
    parts.append(notes["order"]["why"])
    return "\n".join(parts)


def _experiments(tried: list[Experiment]) -> Iterator[str]:
    columns = ("variant", "way", "shot", "examples", "meta-val", "accuracy (95 % interval)", "on")
    yield f"| {' | '.join((*columns, 'difference (95 % interval)'))} |"
    yield "| --- " * (len(columns) + 1) + "|"
    for one in tried:
        ours = f"{one.ours} ({one.ci95_low} to {one.ci95_high})"
        interval = f"({one.difference_low} to {one.difference_high})"
        apart = f"{one.difference} {interval} to `{one.against}`" if one.difference else ""
        yield (
            f"| `{one.algorithm}` | {one.way} | {one.shot} | {_seen(one)} | {_grown(one)} | {ours} "
            f"| {_place(one)} | {apart} |"
        )


def _orders(pairs: list[Pair]) -> Iterator[str]:
    yield "| setting | published by | pairs | same | open | other |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for (setting, by), found in groupby(pairs, key=lambda one: (one.published, one.by)):
        rows = list(found)
        same, unknown = (sum(one.order == kind for one in rows) for kind in ("same", "open"))
        other = [f"{one.better} > {one.worse}" for one in rows if one.order == "other"]
        turned = f"{len(other)}: {', '.join(other)}" if other else "0"
        yield f"| {setting} | {by} | {len(rows)} | {same} | {unknown} | {turned} |"


def _table(rows: list[Comparison]) -> Iterator[str]:
    columns = ("method", "way", "shot", "paper", "independent rerun", "ours (95 % interval)")
    yield f"| {' | '.join((*columns, 'examples', 'meta-val', 'on', 'ours is'))} |"
    yield "| --- " * (len(columns) + 4) + "|"
    for one in rows:
        ours = f"{one.ours} ({one.ci95_low} to {one.ci95_high})" if one.ours else ""
        yield (
            f"| {one.method} | {one.way} | {one.shot} | {one.paper} | {one.rerun} | {ours} "
            f"| {_seen(one)} | {_grown(one)} | {_place(one)} | {one.verdict} |"
        )


def _seen(one: Measured) -> str:
    return f"{float(one.examples) / 1e6:.2g} M" if one.examples and one.examples != "0" else ""


def _grown(one: Measured) -> str:
    return f"{one.val_half} → {one.val_end}" if one.val_end else ""


def _place(one: Measured) -> str:
    if not one.device:
        return ""
    full = filter(None, one.accelerator.split(" + "))
    models = [name.removeprefix("NVIDIA ").split()[0] for name in full]
    return f"{', '.join(models) or one.device}, {one.precision}"
