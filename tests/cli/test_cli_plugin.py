"""`metabench plugin new` and `metabench plugin check` as typed, and the kit as a pytest plugin."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_plugins import algorithm

from metabench.cli import main

ROOT = Path(__file__).parents[2]
PARTS = """
import torch
from metabench.learners.contracts import Algorithm, class_means

class Learner(Algorithm):
    def adapt(self, support):
        means = class_means(support)
        return lambda query: -torch.cdist(query{}, means)
"""
LEAK = " - query.mean(1, keepdim=True)"


@pytest.fixture
def call(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return lambda *arguments: CliRunner().invoke(main, [str(one) for one in arguments])


@pytest.fixture
def install(site):
    """Installs a learner, with or without a leak."""

    def make(name, leak=""):
        source = algorithm(name, citation="Doe (2026)", licence="MIT")
        site.install(name, source.replace("nowhere:Nothing", f"{name}_parts:Learner"))
        (site.path / f"{name}_parts.py").write_text(PARTS.format(leak))
        file = next(site.path.glob(f"{name}-*.dist-info")) / "METADATA"
        more = "Summary: s\nLicense-Expression: MIT\nRequires-Dist: metabench\n"
        file.write_text(file.read_text() + more)

    return make


def test_check_passes_what_is_good(call, install):
    install("good")
    result = call("plugin", "check")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "good 1.0 (good)"
    assert lines[1].split() == ["plugin", "good", "9", "passed"]
    assert lines[-1] == "24 checks, none failed"


def test_check_tells_what_is_bad(call, install):
    install("bad", LEAK)
    result = call("plugin", "check", "bad")
    assert result.exit_code == 1
    assert "1. algorithm bad on classification: query-independence" in result.stdout
    assert "     mend     Take statistics (means, batch norm) of the support only" in result.stdout


def test_check_for_scripts(call, install, site):
    install("good")
    parts = site.path / "good_parts.py"
    parts.write_text(parts.read_text().replace("return lambda", "print('hello'); return lambda"))
    install("bad", LEAK)
    result = call("plugin", "check", "--json")
    assert result.exit_code == 1
    bad, good = json.loads(result.stdout)
    assert (bad["plugin"], bad["violations"], good["violations"]) == ("bad", 1, 0)
    (remark,) = [remark for remark in bad["remarks"] if remark["outcome"] == "violated"]
    assert (remark["subject"], remark["name"], remark["on"]) == (
        "algorithm",
        "bad",
        "classification",
    )
    assert remark["check"] == "query-independence"
    assert set(remark["advice"]) == {"why", "mend"}
    assert {remark["advice"] for remark in good["remarks"]} == {None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check",), "no third-party plugin is installed; name one of `metabench plugin list`"),
        (("check", "god"), "unknown plugin 'god'"),
        (("new", "x"), "say what it adds: one of --algorithm, --encoder and --source"),
        (("new", "x", "--source", "--encoder"), "one of --algorithm, --encoder and --source"),
        (("new", "X", "--source"), "is not lower-case words"),
        (("new", "x", "--source", "--licence", "GPL"), "'GPL' is not one of 'MIT'"),
        (("new", "--source"), "Missing argument 'NAME'"),
    ],
)
def test_usage_errors_are_one_line(call, site, arguments, message):
    result = call("plugin", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("metabench: error: ")
    assert message in line


def test_new_says_what_to_type_next(call, site):
    result = call("plugin", "new", "my-learner", "--algorithm", "--licence", "Apache-2.0")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "wrote my-learner (10 files); next:",
        "  pip install -e 'my-learner[test]'",
        "  pytest my-learner",
        "  metabench run --algorithms my-learner",
    ]
    assert 'license = "Apache-2.0"' in Path("my-learner/pyproject.toml").read_text()
    again = call("plugin", "new", "my-learner", "--algorithm", "--out", "elsewhere")
    assert again.exit_code == 0
    assert Path("elsewhere/my_learner/learner.py").exists()
    assert call("plugin", "new", "my-learner", "--algorithm").exit_code == 2


@pytest.fixture
def run_pytest(site, tmp_path):
    """Runs pytest in an empty folder that sees the installed plugins alone."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
            cwd=folder, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": f"{site.path}{os.pathsep}{ROOT}"},
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    run.folder = folder
    return run


def test_pytest_runs_the_kit_on_a_named_plugin(run_pytest, install):
    install("good")
    code, out = run_pytest("-v", "-rs", "--metabench-plugin", "good", "-p", "metabench.testing")
    assert code == 0, out
    assert "metabench::good::plugin-good-imports PASSED" in out
    assert "metabench::good::algorithm-good-hidden-targets PASSED" in out
    assert out.count("PASSED") + out.count("SKIPPED (") == 24


def test_pytest_tells_a_violation_without_a_traceback(run_pytest, install):
    install("bad", LEAK)
    (run_pytest.folder / "test_own.py").write_text("def test_own(): pass\n")
    code, out = run_pytest("--metabench-plugin", "bad", "-k", "query-independence or own")
    assert code == 1
    assert "why      A learner that sees other queries" in out
    assert "Traceback" not in out
    assert "def complaint" not in out
    assert "1 failed, 1 passed, 23 deselected" in out
    code, out = run_pytest("--metabench-plugin", "bad", "-m", "not metabench_conformance")
    assert (code, "1 passed" in out) == (0, True)


def test_pytest_without_the_option_is_left_alone(run_pytest):
    """Nobody's test run gets slower because metabench is installed."""
    (run_pytest.folder / "test_own.py").write_text(
        "import sys\n"
        "def test_own():\n"
        "    assert 'metabench.testing' in sys.modules\n"
        "    assert not {'torch', 'numpy', 'pydantic', 'pandas', 'click'} & set(sys.modules)\n"
    )
    code, out = run_pytest("-q", "-p", "no:hypothesispytest", "-p", "metabench.testing")
    assert code == 0, out


def test_pytest_names_the_nearest_plugin(run_pytest, install):
    install("good")
    code, out = run_pytest("--metabench-plugin", "god")
    assert code == 4
    assert "ERROR: --metabench-plugin: unknown plugin 'god'; did you mean good?" in out
