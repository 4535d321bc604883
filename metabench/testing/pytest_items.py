"""The tests that ``pytest --metabench-plugin NAME`` adds. Needs pytest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metabench.errors import UsageError
from metabench.testing.cases import Case, plugin_cases
from metabench.testing.pytest_plugin import MARKER


class ConformanceItem(pytest.Item):
    """One check of one plugin."""

    def __init__(self, *, case: Case, **options: Any) -> None:
        super().__init__(**options)
        self.case = case
        self.add_marker(MARKER)

    def runtest(self) -> None:
        """Carry the check out; one that does not apply is skipped with the reason."""
        remarks = self.case.run()
        if all(remark.finding.outcome == "inapplicable" for remark in remarks):
            pytest.skip("; ".join(dict.fromkeys(remark.finding.detail for remark in remarks)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Tell a violation as a review does, without a traceback."""
        if excinfo.errisinstance(AssertionError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Name the check in the heading of a failure."""
        return self.path, None, f"{self.case.plugin}: {self.case}"


def conformance_items(session: pytest.Session, name: str) -> Iterator[pytest.Item]:
    """Yield a test for each check of a plugin.

    Args:
        session: What the tests belong to.
        name: The plugin.
    """
    try:
        cases = plugin_cases(name)
    except UsageError as error:
        raise pytest.UsageError(f"--metabench-plugin: {error}") from error
    for case in cases:
        nodeid = f"metabench::{case.plugin}::{case}"
        yield ConformanceItem.from_parent(session, name=str(case), nodeid=nodeid, case=case)
