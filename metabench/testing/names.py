"""The checks by name. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from metabench.errors import unknown_name
from metabench.leaderboard.audits import QUERY_INDEPENDENCE

CHECKS: Mapping[str, str] = MappingProxyType(
    {
        QUERY_INDEPENDENCE: "a query's scores do not depend on the other queries",
        "label-permutation": "renaming the classes renames the scores",
        "support-permutation": "the order of the support examples has no effect",
        "determinism": "the same episodes give the same bits",
        "unchanged-weights": "adaptation leaves all parameters and buffers as they are",
        "task-independence": "an episode's scores do not depend on other episodes",
        "degenerate-support": "scores are finite on degenerate supports",
        "hidden-targets": "the targets of the queries do not reach the algorithm",
    }
)
"""What each check establishes, in the order of the table."""

BALANCED, UNBALANCED = "balanced-queries", "unbalanced-queries"
MEASURED = (BALANCED, UNBALANCED)
"""What is measured of transductive algorithms, beside the checks."""


def known_checks(names: Iterable[str]) -> tuple[str, ...]:
    """Return checks by name, all if none is named.

    Raises:
        UsageError: If there is no check of that name.
    """
    chosen = tuple(dict.fromkeys(names)) or (*CHECKS, *MEASURED)
    for name in chosen:
        if name not in CHECKS and name not in MEASURED:
            raise unknown_name("check", name, (*CHECKS, *MEASURED))
    return chosen
