"""Rows that stand together in a printed table, and how their numbers are written."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from metabench.leaderboard.row import Row

TRANSDUCTIVE = "†"
RANGE = "\N{EN DASH}"
TIED = "≈"
_OVERALL = (
    "encoder_policy", "algorithm", "rank", "mean_rank", "mean_rank_low", "mean_rank_high",
    "group_low", "group_high", "normalized", "ci95_low", "ci95_high", "coverage",
)  # fmt: skip
"""Columns over all domains that a reader is shown, as far as they exist; the CSV has all."""


def blocks_of(rows: Iterable[Row]) -> list[list[Row]]:
    """Bring rows together that were ranked together, best first.

    Rows without a number come last in the first block of their protocol.

    Args:
        rows: One domain's, in the order of the CSV.

    Returns:
        One list per source, protocol and set of test episodes.
    """
    blocks: dict[tuple[str, str, str], dict[str, list[Row]]] = defaultdict(dict)
    for row in rows:
        block = blocks[row.source, row.protocol, row.protocol_digest]
        digest = row.episodes_digest if row.mean is not None else next(iter(block), "")
        block.setdefault(digest, []).append(row)
    return [
        sorted(members, key=_by_mean) for inner in blocks.values() for members in inner.values()
    ]


def facts_of(block: Sequence[Row], blocks: Sequence[Sequence[Row]]) -> list[str]:
    """Say under which conditions a block's rows stand.

    Args:
        block: The rows.
        blocks: All blocks of the table; digests are named where a source and protocol has several.

    Returns:
        Such as ``5-way 1-shot``, ``60 episodes`` and ``chance 20.00``.
    """
    row = block[0]
    facts = [f"{row.way}-way {row.shot}-shot"]
    if row.task_kind != "classification":
        facts = [row.task_kind, f"support {row.shot}"]
    if row.mean is not None:
        facts.append(f"{row.episodes} episodes" + (f", {row.seeds} seeds" * (row.seeds > 1)))
        facts.append(f"chance {number_text(row.chance, row)}")
    same = [b for b in blocks if (b[0].source, b[0].protocol) == (row.source, row.protocol)]
    if len(same) > 1:
        facts.append(f"protocol {row.protocol_digest[:8]}, episodes {row.episodes_digest[:8]}")
    return facts


def overall_header(columns: Iterable[str]) -> list[str]:
    """Choose the columns over all domains that a reader is shown, with each domain's score."""
    columns = list(columns)
    return [name for name in _OVERALL if name in columns] + [
        name for name in columns if name.startswith("normalized_")
    ]


def unanswered(rows: Iterable[Row], most_names: int | None = None) -> list[tuple[str, str, str]]:
    """Bring rows without a number together: one entry per status and reason.

    Args:
        rows: A block's.
        most_names: How many learners an entry names; one more is named rather than counted.

    Returns:
        Status, all learners (with their encoders) that share it, and the reason.
    """
    shared: dict[tuple[str, str, str], dict[str, None]] = defaultdict(dict)
    missing = [row for row in rows if row.mean is None]
    for row in sorted(missing, key=lambda row: (row.encoder, row.algorithm)):
        # "maml does ..." is a reason that others may share, with every encoder.
        reason = row.reason.removeprefix(f"{row.algorithm} ")
        encoder = row.encoder if reason == row.reason else "none"
        shared[row.status, encoder, reason][row.algorithm] = None
    merged: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for (status, encoder, reason), names in shared.items():
        merged[status, reason, _listed(list(names), most_names)].append(encoder)
    return [
        (status, who + ("" if encoders == ["none"] else f" ({', '.join(encoders)})"), reason)
        for (status, reason, who), encoders in merged.items()
    ]


def _listed(names: Sequence[str], most: int | None) -> str:
    if most is None or len(names) <= most + 1:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} others"


def ranked(block: Iterable[Row]) -> list[tuple[Row, str]]:
    """Return a block's rows that have a number, each with its mark.

    The mark is ``best`` for the best mean, ``tied`` for a row that the tests cannot tell apart from
    it, and empty for the rest.
    """
    rows = [row for row in block if row.mean is not None]
    # The best row comes first, others may equal it; without a scale nobody knows which is best.
    means = {row.mean for row in rows[:1] if row.normalized is not None}
    return [
        (row, "best" if row.mean in means else "tied" if row.rank_low == 1 else "") for row in rows
    ]


def legend_of(rows: Iterable[Row]) -> list[str]:
    """Explain the marks of a table, the dagger only where a row has it."""
    lines = [
        "Bold: the best mean.",
        f"{TIED}: not told apart from the best (paired tests on the same episodes, Holm, 5 %).",
        "Rank: an interval; rows whose intervals overlap are not told apart.",
        "±: half the 95 % interval.",
    ]
    if not all(row.inductive for row in rows):
        lines.append(f"{TRANSDUCTIVE}: transductive, adapts to all unlabelled queries of a task.")
    return lines


def rank_text(row: Row) -> str:
    """Write a rank interval: ``3``, or ``3`` to ``5`` with a dash."""
    if row.rank_low == row.rank_high:
        return str(row.rank_low)
    return f"{row.rank_low}{RANGE}{row.rank_high}"


def score_text(row: Row) -> str:
    """Write a row's mean and half its interval."""
    assert row.mean is not None
    if row.ci95_low is None or row.ci95_high is None:
        return number_text(row.mean, row)
    return f"{number_text(row.mean, row)} ± {number_text((row.ci95_high - row.ci95_low) / 2, row)}"


def metric_text(row: Row) -> str:
    """Name a row's metric with its unit."""
    return f"{row.metric} %" if _in_percent(row) else row.metric


def number_text(value: float, row: Row) -> str:
    """Write a value of a row's metric: accuracies in percent."""
    if _in_percent(row):
        return f"{100 * value:.2f}"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.4g}"  # noqa: PLR2004 - four digits


def short_text(value: float | None) -> str:
    """Write three digits at least, no more after the point than they need."""
    if value is None:
        return ""
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3  # noqa: PLR2004
    return f"{value:.{decimals}f}"


def _in_percent(row: Row) -> bool:
    return row.metric.endswith("accuracy")


def _by_mean(row: Row) -> tuple[bool, float, int]:
    # Normalised scores rise with quality whatever the metric's direction.
    return (row.mean is None, -(row.normalized or 0.0), row.rank_low or 0)
