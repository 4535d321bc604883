"""The kit on whole plugins: what it says of bad ones, and that its texts cover every check."""

import importlib.metadata
import textwrap
from pathlib import Path

import pytest
from fake_plugins import algorithm

from metabench import testing
from metabench.errors import UsageError
from metabench.leaderboard.audits import QUERY_INDEPENDENCE, Finding
from metabench.testing import check_plugin, plugin_checks
from metabench.testing.advice import ADVICE
from metabench.testing.cases import review_plugin, third_party
from metabench.testing.names import ALL, CHECKS, PLUGIN_CHECKS
from metabench.testing.review import WIDTH, Remark, Review

PARTS = """
import torch
from metabench.learners.contracts import Algorithm, class_means

class Means(Algorithm):
    def adapt(self, support):
        means = class_means(support)
        return lambda query: -torch.cdist(query, means)

class Leaky(Algorithm):
    def adapt(self, support):
        means = class_means(support)
        return lambda query: -torch.cdist(query - query.mean(1, keepdim=True), means)
"""
METADATA = "\nSummary: a plugin\nLicense-Expression: MIT\nRequires-Dist: metabench\n"
COMPLETE = {"citation": "Doe (2026)", "licence": "MIT"}


@pytest.fixture
def install(site):
    """Installs a plugin ``bad`` with an implementation module ``bad_parts``."""

    def make(source, parts=PARTS, metadata=METADATA):
        site.install("bad", source)
        (site.path / "bad_parts.py").write_text(parts)
        file = next(site.path.glob("bad-*.dist-info")) / "METADATA"
        file.write_text(file.read_text().strip() + metadata)

    return make


def learner(cls="Means", **fields):
    source = algorithm("mine", **{**COMPLETE, **fields})
    return source.replace("nowhere:Nothing", f"bad_parts:{cls}")


def findings(subject="plugin"):
    (review,) = review_plugin("bad")
    return {r.finding.check: r.finding for r in review.remarks if r.subject == subject}


BAD = {
    "does not import": ("raise OSError('no luck')", PARTS, "imports", "OSError: no luck"),
    "ends the process": ("import os; os._exit(3)", PARTS, "imports", "with exit code 3"),
    "loads torch": ("import torch\n", PARTS, "import-cost", "it loads numpy, torch"),
    "is slow": ("import time; time.sleep(0.7)\n", PARTS, "import-cost", "it takes 0."),
    "prints": ("import os; os.write(1, b'hello')\n", PARTS, "stdout", "it prints 'hello'"),
    "has no hooks": ("x = 1", PARTS, "registers", "bad implements no hook"),
    "wants another metabench": ("metabench_api = '9.0'\n", PARTS, "registers", "plugin API 9.0"),
    "has no such class": ("", PARTS.replace("Means", "Others"), "targets", "has no 'Means'"),
    "is no algorithm": ("", "class Means: pass", "targets", "is no subclass of metabench"),
    "cannot load its parts": ("", "1 / 0", "targets", "raised ZeroDivisionError"),
    "calls sys.exit later": ("", "import sys; sys.exit(0)", "targets", "it calls sys.exit(0)"),
    "does not say what it needs": (
        "", PARTS + "import yaml\n", "dependencies", "it imports yaml and does not require",
    ),
    "unpickles": (
        "", PARTS + "x = lambda: torch.load('w.pt')\n", "no-pickle", "bad_parts.py:14 calls torch",
    ),
    "trusts a hub": (
        "", PARTS + "x = lambda f: f(trust_remote_code=True)\n", "no-pickle", "trust_remote_code",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_plugin_is_told_what_is_wrong(install, case):
    source, parts, check, detail = BAD[case]
    if not source or source.endswith("\n"):  # what precedes an otherwise good plugin
        source = textwrap.indent(source, "    ") + learner()
    install(source, parts)
    found = findings()
    assert found[check].outcome == "violated", found
    assert detail in found[check].detail
    if case == "calls sys.exit later":
        assert {finding.outcome for finding in findings("algorithm").values()} == {"violated"}
    others = {name for name, finding in found.items() if finding.outcome == "violated"} - {check}
    assert others <= ({"import-cost"} if case == "loads torch" else set())


@pytest.mark.parametrize(
    ("fields", "outcome", "detail"),
    [
        ({"summary": "x" * 101}, "violated", "the summary of mine has 101 characters"),
        ({"summary": "A learner."}, "violated", "ends with a full stop"),
        ({"citation": ""}, "measured", "mine has no citation"),
        ({}, "passed", "1"),
    ],
)
def test_descriptors_are_complete(install, fields, outcome, detail):
    source = learner(**{k: v for k, v in fields.items() if k != "summary"})
    install(source.replace('"a learner"', repr(fields.get("summary", "a learner"))))
    found = findings()["descriptors"]
    assert (found.outcome, found.detail) == (outcome, found.detail)
    assert detail in found.detail


def test_metadata_are_complete(install):
    install(learner(), metadata="\n")
    assert findings()["metadata"].detail == (
        "it does not require metabench; it names no licence; it has no description"
    )


def test_a_dependency_that_is_missing_here_is_noted_and_nothing_is_blamed(install):
    install(learner(requires=("no_such_module",)), PARTS + "import no_such_module\n")
    found = findings()
    assert found["targets"].outcome == "measured"
    assert "mine needs no_such_module, not installed here" in found["targets"].detail
    assert {f.outcome for f in findings("algorithm").values()} == {"inapplicable"}
    assert not any(f.outcome == "violated" for f in found.values())


def test_modules_beside_the_target_are_no_foreign_imports(install, site):
    install(learner(), PARTS + "import bad_helper\n")
    (site.path / "bad_helper.py").write_text("import torch\nx = lambda: torch.load('w.pt')\n")
    assert "it imports bad_helper" in findings()["dependencies"].detail
    record = "bad.py,,\nbad_parts.py,,\nbad_helper.py,,\n"
    (next(site.path.glob("bad-*.dist-info")) / "RECORD").write_text(record)
    found = findings()
    assert found["dependencies"].outcome == "passed"
    assert "bad_helper.py:2 calls torch.load" in found["no-pickle"].detail


def test_a_name_that_is_taken_is_told(install, site):
    site.install("other", algorithm("mine"))
    install(learner())
    assert "it claims the algorithm name 'mine'" in findings()["registers"].detail


def test_a_good_plugin_passes_and_a_leak_is_explained(install):
    install(learner())
    (review,) = check_plugin("bad")
    assert review.violations == ()
    assert review.summary.endswith("checks, none failed")
    for case in plugin_checks("bad"):
        case.run()


def test_a_review_says_what_failed_why_it_matters_and_how_to_mend_it(install):
    install(learner("Leaky"))
    with pytest.raises(AssertionError) as caught:
        check_plugin("bad")
    text = str(caught.value)
    assert "1. algorithm mine on classification: query-independence" in text
    for word in ("should   a query's scores", "found    scores differ", "why      A learner that",
                 "mend     Take statistics"):  # fmt: skip
        assert word in text
    assert max(map(len, text.splitlines())) <= WIDTH + 3
    assert "1 failed" in text.splitlines()[-1]
    (case,) = (case for case in plugin_checks("bad") if case.check == QUERY_INDEPENDENCE)
    assert str(case) == "algorithm-mine-query-independence"
    with pytest.raises(AssertionError, match="mend     Take statistics"):
        case.run()


def test_names(install):
    with pytest.raises(UsageError, match="unknown plugin 'vison'"):
        plugin_checks("vison")
    install(learner())
    assert third_party() == ("bad",)
    with pytest.raises(UsageError, match="did you mean bad"):
        plugin_checks("bat")


def test_every_check_has_advice_and_a_place():
    assert {subject: list(checks) for subject, checks in ADVICE.items()} == {
        subject: list(checks) for subject, checks in ALL.items()
    }
    assert next(iter(CHECKS)) == QUERY_INDEPENDENCE
    for subject, checks in ALL.items():
        for check in checks:
            remark = Remark(subject, "x", "", Finding(check=check, outcome="violated", detail="d"))
            review = Review("p", "1", "m", (remark,))
            assert remark.advice.why.endswith(".")
            assert remark.advice.mend.endswith(".")
            assert max(map(len, review.lines())) <= 12 * WIDTH


def test_first_party_plugins_are_good_as_plugins():
    known = ["sider has no licence; tox21 has no licence"]  # and upstream names none
    for name in ("algorithms", "control", "molecules", "nlp", "speech", "vision"):
        for case in plugin_checks(name):
            if case.subject == "plugin" and case.check != "targets":
                remarks = case.examine()
                assert [r.finding.detail for r in remarks if r.violated] in ([], known)
    assert importlib.metadata.entry_points(group="pytest11")["metabench.testing"]
    assert set(PLUGIN_CHECKS) == {
        case.check for case in plugin_checks("vision") if case.subject == "plugin"
    }


def test_no_module_of_the_kit_hides_what_the_package_offers():
    """Importing a submodule sets its name in the package, whatever function was there."""
    folder = Path(testing.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")}
    assert modules & set(testing.__all__) == set()
