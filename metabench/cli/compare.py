"""``metabench compare``: how much two algorithms differ, how surely, and what would settle it."""

from __future__ import annotations

import shutil
import textwrap
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metabench.cli._common import plain, print_json
from metabench.cli._settings import ConfiguredCommand
from metabench.errors import UsageError

if TYPE_CHECKING:
    from metabench.leaderboard.compare import Comparison
    from metabench.leaderboard.estimate import Estimate

_WIDTH = 96


def _split(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[str, ...]:
    return tuple(part for part in (p.strip() for p in (value or "").split(",")) if part)


@click.command("compare", cls=ConfiguredCommand)
@click.argument("first")
@click.argument("second")
@click.option(
    "--source", "--sources", "sources", callback=_split, metavar="A,B",
    help="Task sources; by default all that both have records of.",
)  # fmt: skip
@click.option(
    "--encoder", "--encoders", "encoders", callback=_split, metavar="A,B",
    help="Encoders; by default all that both have records of.",
)  # fmt: skip
@click.option(
    "--store", type=click.Path(path_type=Path), default="results", show_default=True,
    help="The folder of records.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(
    *,
    first: str,
    second: str,
    sources: tuple[str, ...],
    encoders: tuple[str, ...],
    store: Path,
    as_json: bool,
) -> None:
    """Compare the algorithms FIRST and SECOND on the test episodes that both met.

    The difference is FIRST minus SECOND, turned so that positive is better for FIRST, with its 95 %
    interval, the p-values of the paired t-test and of Wilcoxon's signed-rank test, and Cohen's d_z.
    """
    from metabench.leaderboard.compare import compare_store
    from metabench.runs.store import Store

    if not (store / "records").is_dir():
        raise UsageError(f"{store} holds no records; `metabench run --store {store}` makes some")
    opened = Store(store.resolve(), only_read=True)
    found = compare_store(opened, first, second, sources=sources, encoders=encoders)
    for text in (*opened.quarantined, *found.messages):
        click.echo(f"metabench: warning: {text}", err=True)
    if as_json:
        print_json(_with_words(found))
    else:
        _print(found)


def _with_words(found: Comparison) -> dict[str, Any]:
    from metabench.leaderboard.verdict import in_words

    values: dict[str, Any] = plain(found)
    for kind in ("blocks", "sources"):
        for shown, one in zip(values[kind], getattr(found, kind), strict=True):
            shown["estimate"]["in_words"] = in_words(one.estimate, found.first, found.second)
    if found.overall is not None:
        values["overall"]["in_words"] = in_words(found.overall, found.first, found.second)
    return values


def _print(found: Comparison) -> None:
    from metabench.leaderboard.verdict import ONE_SEED, in_words

    say = partial(in_words, first=found.first, second=found.second)
    click.echo(f"{found.first} minus {found.second}; positive is better for {found.first}")
    labels = [f"{block.protocol} {block.encoder}" for block in found.blocks]
    width = max(map(len, labels))
    heading = ""
    for block, label in zip(found.blocks, labels, strict=True):
        if block.source != heading:
            heading = block.source
            click.echo(f"\n{heading}")
        click.echo(f"  {label:{width}}  {_numbers(block.estimate)}")
    if found.sources:
        click.echo("\nPer source, all its protocols and encoders together, in normalised scores:")
    for one in found.sources:
        numbers = f"{one.source}: {_difference(one.estimate)}, p {_p(one.estimate.p)}"
        _wrapped(f"{numbers}: {say(one.estimate)}", indent="  ")
    if found.overall is not None:
        whole = found.overall
        p_values = f"p {_p(whole.p)}, Wilcoxon {_p(whole.p_wilcoxon)}"
        click.echo()
        _wrapped(f"Over {whole.units} sources: {_difference(whole)}, {p_values}: {say(whole)}")
    if any(block.estimate.seeds == 1 for block in found.blocks):
        click.echo()
        _wrapped(ONE_SEED)


def _wrapped(text: str, indent: str = "") -> None:
    width = min(_WIDTH, shutil.get_terminal_size().columns)
    lines = textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=2 * indent, break_long_words=False
    )
    click.echo("\n".join(lines))


def _numbers(estimate: Estimate) -> str:
    seeds = f" x {estimate.seeds} seeds" if estimate.seeds > 1 else ""
    effect = "" if estimate.effect is None else f"  d_z {estimate.effect:+.2f}"
    return (
        f"{estimate.units // estimate.seeds}{seeds}  {_difference(estimate)}  "
        f"p {_p(estimate.p)}  Wilcoxon {_p(estimate.p_wilcoxon)}{effect}"
    )


def _difference(estimate: Estimate) -> str:
    text = f"{estimate.difference:+.4f}"
    if estimate.ci95_low is None or estimate.ci95_high is None:
        return text
    return f"{text} [{estimate.ci95_low:+.4f}, {estimate.ci95_high:+.4f}]"


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 1e-4 else f"{value:.0e}"  # noqa: PLR2004 - four digits
