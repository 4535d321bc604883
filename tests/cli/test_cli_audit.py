"""`metabench audit` as a user runs it, and what a leaderboard makes of its outcome."""

import csv
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from metabench.testing.names import CHECKS

TOY = Path(__file__).parents[1] / "samples" / "toy"
SMALL = ("--encoders", "toy-linear", "--budget", "800", "--jobs", "1")

PLUGIN = """
    from metabench.hookspecs import AlgorithmInfo, hookimpl

    @hookimpl
    def metabench_algorithms():
        for name, inductive in (("leaky", True), ("frank", False)):
            yield AlgorithmInfo(
                name=name, summary="centres the queries", target="leaky_parts:Leaky",
                inductive=inductive, recipe="none",
            )
"""
PARTS = """
    import torch

    from metabench.learners.contracts import Algorithm, class_means

    class Leaky(Algorithm):
        def adapt(self, support):
            means = class_means(support)
            return lambda query: -torch.cdist(query - query.mean(1, keepdim=True), means)
"""


def install(site, name, module):
    folder = site / f"{name.replace('-', '_')}-0.3.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.3.0\n")
    (folder / "entry_points.txt").write_text(f"[metabench]\n{module} = {module}\n")


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Runs ``metabench`` with the toy plugin and a leaking learner in sight."""
    site, work = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("work")
    install(site, "metabench-toy", "metabench_toy")
    install(site, "metabench-leaky", "leaky")
    (site / "leaky.py").write_text(textwrap.dedent(PLUGIN))
    (site / "leaky_parts.py").write_text(textwrap.dedent(PARTS))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("METABENCH")},
        "PYTHONPATH": os.pathsep.join([str(site), str(TOY)]),
        "COLUMNS": "100",
    }

    def run(*arguments, code=0):
        command = [sys.executable, "-m", "metabench", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=work, env=environment, text=True, capture_output=True, timeout=300,
            check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout, done.stderr

    run.folder = work
    return run


@pytest.fixture(scope="module")
def audited(shell):
    """A run, and an audit of the same learners on the same store."""
    shell("run", "--sources", "blobs", "--shots", "1", *SMALL, "--episodes", "20",
          "--algorithms", "leaky,frank,protonet")  # fmt: skip
    out, err = shell("audit", "leaky", "frank", "protonet", "--source", "blobs", *SMALL, code=1)
    return out, err


def files(shell):
    return [json.loads(path.read_text()) for path in (shell.folder / "results/audits").iterdir()]


def test_violation_is_printed_and_decides_the_exit_code(audited):
    out, _ = audited
    lines = out.splitlines()
    rows = {line.split()[0]: line.split()[1:9] for line in lines if "blobs toy-linear" in line}
    assert rows["leaky"] == ["BAD", *["ok"] * 7]
    assert rows["frank"] == ["said", *["ok"] * 7]
    assert rows["protonet"] == ["ok"] * 8
    (violation,) = [line for line in lines if "VIOLATED" in line]
    assert violation.startswith(
        "blobs/toy-linear/leaky: query-independence VIOLATED: scores differ"
    )
    assert any("with balanced queries" in line and "/frank" in line for line in lines)
    assert lines[-1] == "3 audits: 1 violation; kept in results/audits"
    assert max(map(len, lines[:8])) <= 100


def test_audits_are_kept_in_the_store(shell, audited):
    found = {one["algorithm"]["name"]: one for one in files(shell)}
    assert sorted(found) == ["frank", "leaky", "protonet"]
    checks = [finding["check"] for finding in found["leaky"]["findings"]]
    assert checks == list(CHECKS)
    assert found["leaky"]["encoder"] == "toy-linear"
    assert found["leaky"]["provenance"]["torch"]


def test_leaderboard_shows_the_outcome(shell, audited):
    out, _ = shell("leaderboard", "build", "--out", "boards")
    assert "boards/audit.csv" in out
    with (shell.folder / "boards" / "toy.csv").open() as file:
        rows = {row["algorithm"]: row for row in csv.DictReader(file)}
    assert [rows[n]["inductive"] for n in ("leaky", "frank", "protonet")] == [
        "false",
        "false",
        "true",
    ]
    assert "audit: query-independence violated on blobs/toy-linear" in rows["leaky"]["reason"]
    assert rows["leaky"]["status"] == "ok"
    assert rows["frank"]["reason"] == ""
    with (shell.folder / "boards" / "audit.csv").open() as file:
        found = list(csv.DictReader(file))
    assert len(found) == 3 * len(CHECKS) + 2


def test_trained_weights_are_found_again(shell, audited):
    weights = sorted((shell.folder / "results/cache/weights").glob("*.safetensors"))
    assert weights
    times = [path.stat().st_mtime_ns for path in weights]
    out, _ = shell("audit", "protonet", "--source", "blobs", *SMALL, "--json")
    again = sorted((shell.folder / "results/cache/weights").glob("*.safetensors"))
    assert [path.stat().st_mtime_ns for path in again] == times
    document = json.loads(out)
    assert document["exit_code"] == 0
    assert document["left_out"] == []
    assert len(document["audits"]) == 1


def test_every_named_source_is_audited(shell):
    out, _ = shell("audit", "chance", "--source", "blobs,sides,walks", "--jobs", "1", "--json")
    kinds = [one["task_kind"] for one in json.loads(out)["audits"]]
    assert kinds == ["binary", "classification", "regression"]


def test_what_fits_nowhere_is_said(shell):
    out, _ = shell("audit", "protonet", "--source", "walks")
    assert "walks/toy-linear/protonet is not audited: inapplicable: protonet does" in out
    assert "0 audits: no violations" in out


def test_a_learner_that_dies_fails_the_audit(shell):
    out, _ = shell("audit", "killer", "--source", "blobs", "--jobs", "1", code=1)
    assert "killer is not audited: killed" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("protonte",), "unknown algorithm 'protonte'; did you mean protonet"),
        (("protonet", "--source", "blbs"), "unknown source 'blbs'; did you mean blobs"),
        (("protonet", "--jobs", "0"), "--jobs = 0"),
        (("protonet", "--suite", "quik"), "unknown suite 'quik'; did you mean quick?"),
    ],
)
def test_usage_errors_are_one_line(shell, arguments, message):
    out, err = shell("audit", *arguments, code=2)
    assert out == ""
    (line,) = err.splitlines()
    assert message in line
