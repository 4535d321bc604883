"""Every shipped suite can be planned with every first-party source."""

import pytest

from metabench.registry.discovery import load_plugins
from metabench.runs.plan import draft_cells
from metabench.runs.request import RunRequest
from metabench.runs.suite import load_suites


@pytest.mark.parametrize("suite", sorted(load_suites()))
def test_a_shipped_suite_is_planned_whole(suite):
    catalogue = load_plugins()
    drafts = draft_cells(RunRequest(suite=suite), catalogue)
    members = {name for name, entry in catalogue.sources.items() if suite in entry.info.suites}
    assert {draft.source.name for draft in drafts} == members


@pytest.mark.parametrize("source", sorted(load_plugins().sources))
def test_a_source_can_be_asked_for_in_a_suite_that_it_does_not_belong_to(source):
    catalogue = load_plugins()
    settings = catalogue.sources[source].info.protocol
    for draft in draft_cells(RunRequest(suite="quick", sources=(source,)), catalogue):
        for name, value in settings.items():
            assert getattr(draft.protocol, name) == value
