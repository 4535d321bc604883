"""The conformance kit: what plugins must satisfy, for their authors and for the audit.

In a plugin's own tests::

    import pytest
    from metabench.testing import plugin_checks

    @pytest.mark.parametrize("check", plugin_checks("my-plugin"), ids=str)
    def test_conformance(check):
        check.run()

or without a test file, ``pytest --metabench-plugin my-plugin`` and ``metabench plugin check``. One
thing that is not installed yet is checked by `check_algorithm`, `check_encoder`, `check_source`.

This package is a pytest plugin, too, which pytest loads wherever metabench is installed; so nothing
heavy is imported before it is used.
"""

from __future__ import annotations

from metabench.testing.api import (
    check_algorithm,
    check_encoder,
    check_plugin,
    check_source,
    plugin_checks,
)
from metabench.testing.names import CHECKS
from metabench.testing.pytest_plugin import (
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
)

__all__ = [
    "CHECKS",
    "check_algorithm",
    "check_encoder",
    "check_plugin",
    "check_source",
    "plugin_checks",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
]
