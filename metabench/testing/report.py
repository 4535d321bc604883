"""An audit in words: a table of marks, and a line for whatever is not simply passed. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from metabench.testing.names import BALANCED, CHECKS, UNBALANCED

if TYPE_CHECKING:
    from metabench.leaderboard.audits import Audit
    from metabench.testing.audit import AuditResult

COLUMNS = ("algorithm", "query", "label", "order", "same", "state", "task", "flat", "blind", "on")
"""The algorithm, one word for each of ``CHECKS`` in its order, and source and encoder."""
MARKS: Mapping[str, str] = {"passed": "ok", "violated": "BAD", "declared": "said"}


def table_rows(result: AuditResult) -> list[tuple[str, ...]]:
    """Return one row of marks per audit, under ``COLUMNS``."""
    return [(a.name, *_marks(a), f"{a.source} {a.encoder}") for a in result.audits]


def _marks(audit: Audit) -> Iterator[str]:
    outcomes = {finding.check: finding.outcome for finding in audit.findings}
    for check in CHECKS:
        yield MARKS.get(outcomes.get(check, ""), "-")


def legend() -> Iterator[str]:
    """Yield a line that explains each column, and one for the marks."""
    for word, check in zip(COLUMNS[1:], CHECKS, strict=False):
        yield f"{word:6} {check}: {CHECKS[check]}"
    yield "said   the algorithm declares that it lacks the property;  -  inapplicable"


def details(result: AuditResult) -> Iterator[str]:
    """Yield what was measured, left out and violated, a line each."""
    for audit in result.audits:
        found = {finding.check: finding.value for finding in audit.findings}
        even, uneven = found.get(BALANCED), found.get(UNBALANCED)
        if even is not None and uneven is not None:
            yield (
                f"{_where(audit)}: accuracy {even:.4f} with balanced queries, {uneven:.4f} with "
                "unbalanced ones"
            )
    for one in result.left_out:
        yield f"{one.label} is not audited: {one.status}: {one.reason}"
    for audit in result.audits:
        for finding in audit.violations:
            yield f"{_where(audit)}: {finding.check} VIOLATED: {finding.detail}"


def _where(audit: Audit) -> str:
    return f"{audit.source}/{audit.encoder}/{audit.name}"


def summary(result: AuditResult) -> str:
    """Return one line: how many audits, how many violations."""
    violations = sum(len(audit.violations) for audit in result.audits)
    audits = len(result.audits)
    return (
        f"{audits} {'audit' if audits == 1 else 'audits'}: "
        f"{violations or 'no'} {'violation' if violations == 1 else 'violations'}"
    )
