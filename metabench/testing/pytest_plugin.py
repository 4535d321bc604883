"""``pytest --metabench-plugin NAME``: the conformance kit as tests, one for each check.

Pytest imports this wherever metabench is installed, so it imports nothing before it is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

OPTION = "--metabench-plugin"
MARKER = "metabench_conformance"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("metabench", "metabench: conformance of plugins")
    group.addoption(
        OPTION,
        action="append",
        default=[],
        metavar="NAME",
        dest="metabench_plugin",
        help="Run the conformance kit on an installed plugin. Repeatable.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, by which these tests can be selected."""
    config.addinivalue_line(
        "markers", f"{MARKER}: a check of metabench's conformance kit ({OPTION} NAME)"
    )


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add a test for each check of each plugin that is named."""
    names = dict.fromkeys(config.getoption("metabench_plugin"))
    if names:
        from metabench.testing.pytest_items import conformance_items  # noqa: PLC0415 - see above

        items += [item for name in names for item in conformance_items(session, name)]
