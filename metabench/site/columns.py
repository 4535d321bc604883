"""Which columns the tables of the site show, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metabench.leaderboard.evidence import SEVERITY
from metabench.leaderboard.overall import overall_columns
from metabench.leaderboard.row import COLUMNS

Json = dict[str, Any]

DETAILS = frozenset({
    "domain", "source", "task_kind", "way", "shot", "metric", "ci95_low", "ci95_high", "ci_over",
    "rank_high", "chance", "episodes", "status", "inductive", "plugin", "plugin_version",
    "protocol", "protocol_digest", "episodes_digest", "reason", "other_metrics",
})  # fmt: skip
"""Columns of a domain's table that stand in a section's heading, inside another column, or on the
page of the row; the CSV has them all."""

_RESULTS: tuple[Json, ...] = (
    {"key": "rank_low", "as": "ties", "label": "Rank", "title": "From the best to the worst rank "
     "that paired tests allow: rows with overlapping bars cannot be told apart"},
    {"key": "algorithm", "as": "learner", "label": "Algorithm"},
    {"key": "encoder", "as": "text", "label": "Encoder", "from": "medium"},
    {"key": "mean", "as": "score", "label": "Score ± 95 %", "down": True},
    {"key": "ci95_low", "as": "interval", "label": "Interval", "from": "medium", "sort": False,
     "title": "Mean and 95 % interval; right is better, the tick is chance"},
    {"key": "normalized", "as": "number", "label": "Normalised", "digits": 3, "down": True,
     "from": "wide", "title": "0 is chance, 1 the best possible"},
    {"key": "train_seconds", "as": "short", "label": "Train s", "from": "wide",
     "title": "Seconds of meta-training"},
    {"key": "adapt_ms_per_task", "as": "short", "label": "Adapt ms", "from": "wide",
     "title": "Milliseconds of adaptation and prediction per task"},
    {"key": "peak_memory_mb", "as": "short", "label": "Memory MB", "from": "wider"},
    {"key": "parameters", "as": "whole", "label": "Weights", "from": "wider"},
    {"key": "seeds", "as": "whole", "label": "Seeds", "from": "wider"},
)  # fmt: skip

_OVERALL: tuple[Json, ...] = (
    {"key": "rank", "as": "whole", "label": "Rank"},
    {"key": "algorithm", "as": "name", "label": "Algorithm"},
    {"key": "mean_rank", "as": "spread", "digits": 2, "label": "Mean rank", "ends": "mean_rank",
     "title": "Over all blocks in which the learner was run, with its 95 % interval; where few "
     "learners apply, ranks are stretched to the number of all"},
    {"key": "group_low", "as": "group", "label": "Tie group", "from": "medium",
     "title": "Critical-difference groups: learners of a section that share none differ "
     "significantly over the sources"},
    {"key": "normalized", "as": "spread", "label": "Normalised", "digits": 2, "down": True,
     "ends": "ci95",
     "title": "Mean over domains with its 95 % interval; 0 is chance, 1 the best possible"},
    {"key": "coverage", "as": "coverage", "label": "Coverage", "from": "medium", "down": True,
     "title": "Cells with a number / applicable cells; without all of them there is no rank"},
    {"key": "win_rate", "as": "percent", "label": "Wins %", "from": "wider", "down": True,
     "title": "Share of all comparisons with another learner on a block won, ties half"},
)  # fmt: skip

_OVERALL_LAST: tuple[Json, ...] = (
    {"key": "rank_complete_cases", "as": "whole", "label": "Complete", "from": "wider",
     "title": "Rank over the blocks in which nobody is missing"},
    {"key": "rank_worst_case", "as": "whole", "label": "Worst case", "from": "wider",
     "title": "Rank if whoever is missing from a block were last in it"},
    {"key": "blocks", "as": "whole", "label": "Blocks", "from": "wider", "down": True},
)  # fmt: skip

_WITHIN_OVERALL = frozenset({
    "mean_rank_low", "mean_rank_high", "group_high", "cells_unavailable",
    "blocks_not_run",
    "encoder_policy", "ci95_low", "ci95_high", "cells_ok", "cells_applicable", "inductive",
    "plugin", "plugin_version",
})  # fmt: skip


_SEARCHED = ("algorithm", "encoder", "source", "protocol", "plugin", "reason", "encoder_policy")
_LEARNERS = {
    "key": "inductive", "label": "Transductive", "always": True,
    "options": [["", "all"], ["false", "transductive"], ["true", "inductive"]],
}  # fmt: skip
_AUDITED = {
    "key": "audited", "label": "Audited", "always": True,
    "options": [["", "all"], ["passed", "passed"], ["violated", "violated"],
                ["not audited", "not audited"]],
}  # fmt: skip
_STATUS = {
    "key": "status", "label": "Status", "always": True, "first": "applicable",
    "options": [["applicable", "applicable"], ["", "all"], *([s, s] for s in reversed(SEVERITY))],
}  # fmt: skip


def results_table(*, several: bool) -> Json:
    """What the script must know of a table of results.

    Args:
        several: Whether it holds several domains.
    """
    filters: list[Json] = [{"key": "domain", "label": "Domain"}] if several else []
    filters += [
        {"key": "source", "label": "Source"},
        {"key": "protocol", "label": "Protocol"},
        {"key": "task_kind", "label": "Kind"},
        {"key": "encoder", "label": "Encoder", "texts": {"none": "none needed"}},
        _LEARNERS,
        _AUDITED,
        _STATUS,
    ]
    return {
        "columns": _result_columns(),
        "filters": filters,
        "grouped": True,
        "scored": "mean",
        "searched": _SEARCHED,
    }


def overall_table(domains: Sequence[str]) -> Json:
    """What the script must know of the overall table."""
    return {
        "columns": _overall_columns(domains),
        "filters": [
            {"key": "encoder_policy", "label": "Encoder", "texts": {"none": "none needed"}},
            _LEARNERS,
            {"key": "plugin", "label": "Plugin"},
        ],
        "grouped": True,
        "scored": "rank",
        "searched": _SEARCHED,
    }


def _result_columns() -> list[Json]:
    """The columns of a domain's table; ones that it does not know of stand at the end."""
    known = DETAILS | {column["key"] for column in _RESULTS}
    return [*_RESULTS, *(_unknown(name) for name in COLUMNS if name not in known)]


def _overall_columns(domains: Sequence[str]) -> list[Json]:
    """The columns of the overall table, one per domain and per column it does not know of."""
    names = overall_columns(domains)
    per_domain = {f"normalized_{domain}": domain for domain in domains}
    own = (*_OVERALL, *_OVERALL_LAST)
    known = _WITHIN_OVERALL | {column["key"] for column in own} | set(per_domain)
    shown = [column for column in _OVERALL if column["key"] in names]
    shown += [
        {"key": key, "as": "heat", "label": domain, "digits": 2, "down": True, "from": "wide",
         "title": f"Normalised score on {domain}"}
        for key, domain in per_domain.items()
    ]  # fmt: skip
    shown += [column for column in _OVERALL_LAST if column["key"] in names]
    return [*shown, *(_unknown(name) for name in names if name not in known)]


def _unknown(name: str) -> Json:
    label = name.replace("_", " ").capitalize()
    return {"key": name, "as": "any", "label": label, "from": "wider"}
