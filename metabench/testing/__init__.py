"""The conformance kit: what every algorithm must satisfy, for plugin authors and for the audit.

In a plugin's own tests::

    import pytest
    from metabench.testing import CHECKS, check_algorithm

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_learner(check):
        check_algorithm("my-learner", checks=[check])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from metabench.leaderboard.audits import Finding
from metabench.testing.names import CHECKS

if TYPE_CHECKING:
    from metabench.hookspecs import AlgorithmInfo
    from metabench.learners.contracts import Algorithm

__all__ = ["CHECKS", "Finding", "check_algorithm"]


def check_algorithm(
    algorithm: str | AlgorithmInfo | type[Algorithm[Any]],
    *,
    checks: Iterable[str] = (),
    **declared: Any,
) -> Mapping[str, tuple[Finding, ...]]:
    """Check an algorithm on synthetic episodes, untrained: no data, a second or two.

    Args:
        algorithm: The name of an installed algorithm, a descriptor, or a class.
        checks: Names out of ``CHECKS``; by default all.
        **declared: For a class, what its descriptor says and is no default: ``inductive=False``,
            ``task_kinds=("regression",)``, ``options={"steps": 3}``; see
            `metabench.hookspecs.AlgorithmInfo`.

    Returns:
        The findings for each kind of task that it applies to.

    Raises:
        AssertionError: If a check is violated, with one line for each violation.
        UsageError: If there is no such algorithm or check.
    """
    from metabench.testing.kit import examine  # noqa: PLC0415 - needs torch

    found = examine(algorithm, tuple(checks), declared)
    lines = [
        f"{kind}: {finding.check}: {finding.detail}"
        for kind, findings in found.items()
        for finding in findings
        if finding.outcome == "violated"
    ]
    if lines:
        name = getattr(algorithm, "name", None) or getattr(algorithm, "__name__", algorithm)
        raise AssertionError("\n  ".join([f"{name} violates", *lines]))
    return found
