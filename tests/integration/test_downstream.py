"""Plugins by strangers, from wheels in a new environment: listed, checked and run."""

import csv
import json
import sys

import pytest
from wheel_cases import call, run_in

pytestmark = pytest.mark.slow

PROVIDED = {
    ("algorithms", "kernel-ridge"): "kernel-ridge-fewshot",
    ("encoders", "wavelets"): "wavelet-energies",
    ("encoders", "spectrum"): "series-bench",
    ("encoders", "series-cnn"): "series-bench",
    ("sources", "oscillations"): "series-bench",
}
HIDDEN = "import sys\nsys.modules['pywt'] = None\n"
"""What a ``sitecustomize`` says where PyWavelets is not installed."""


def json_of(environment, *arguments, cwd, **variables):
    return json.loads(run_in(environment, *arguments, "--json", cwd=cwd, **variables))


def test_they_are_listed_like_ours(installed, tmp_path):
    listed = json_of(installed, "list", cwd=tmp_path)
    for (kind, name), plugin in PROVIDED.items():
        (found,) = [item for item in listed[kind] if item["name"] == name]
        assert (found["plugin"], found["version"]) == (plugin, "1.2.0")
    assert "time-series" in {domain["name"] for domain in listed["domains"]}


def test_they_conform(installed, tmp_path):
    reviews = json_of(
        installed, "plugin", "check", "kernel-ridge", "wavelets", "series-bench", cwd=tmp_path
    )
    assert [review["violations"] for review in reviews] == [0, 0, 0]
    remarks = [remark for review in reviews for remark in review["remarks"]]
    passed = {(r["subject"], r["name"]) for r in remarks if r["outcome"] == "passed"}
    for kind, name in PROVIDED:
        assert (kind.removesuffix("s"), name) in passed
    embedded = [r for r in remarks if (r["name"], r["check"]) == ("wavelets", "builds")]
    assert embedded[0]["detail"].endswith("of metabench-vision")


def test_they_run_beside_ours(installed, tmp_path):
    records = json_of(
        installed, "run", "--sources", "oscillations,digits", "--shots", "5", "--seeds", "0",
        "--encoders", "spectrum,series-cnn,wavelets,pixels", "--episodes", "30", "--budget", "400",
        "--algorithms", "chance,kernel-ridge,protonet", "--jobs", "1", cwd=tmp_path,
    )["records"]  # fmt: skip
    cells = {
        (r["cell"]["source"], r["cell"]["encoder"], r["cell"]["algorithm"]): r for r in records
    }
    for source, encoder in (
        ("oscillations", "spectrum"),
        ("oscillations", "series-cnn"),
        ("digits", "wavelets"),
    ):
        ours, theirs = (cells[source, encoder, name] for name in ("protonet", "kernel-ridge"))
        assert (ours["status"], theirs["status"]) == ("ok", "ok")
        assert ours["episodes_digest"] == theirs["episodes_digest"]
        assert theirs["cell"]["plugin"] == "kernel-ridge-fewshot"
    assert cells["oscillations", "spectrum", "kernel-ridge"]["mean"] > 0.4
    assert cells["digits", "wavelets", "kernel-ridge"]["mean"] > 0.6
    assert cells["oscillations", "pixels", "protonet"]["status"] == "inapplicable"


def test_a_dependency_that_is_missing_costs_its_cells_alone(installed, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(HIDDEN)
    without = {"PYTHONPATH": str(tmp_path)}
    listed = json_of(installed, "list", "encoders", cwd=tmp_path, **without)
    assert "wavelets" in {item["name"] for item in listed}
    found = json_of(
        installed, "run", "--sources", "digits", "--encoders", "wavelets,pixels", "--shots", "1",
        "--algorithms", "kernel-ridge", "--episodes", "10", "--jobs", "1", cwd=tmp_path, **without,
    )  # fmt: skip
    statuses = {r["cell"]["encoder"]: r for r in found["records"]}
    assert statuses["pixels"]["status"] == "ok"
    assert statuses["wavelets"]["status"] == "unavailable"
    assert "pywt" in statuses["wavelets"]["failure"]["reason"]
    assert found["exit_code"] == 0
    (review,) = json_of(installed, "plugin", "check", "wavelets", cwd=tmp_path, **without)
    noted = {r["check"]: r for r in review["remarks"] if r["subject"] == "plugin"}
    assert noted["targets"]["outcome"] == "measured"
    assert "wavelets needs pywt, not installed here" in noted["targets"]["detail"]
    assert review["violations"] == 0


def test_a_new_plugin_gets_a_row_as_it_is(installed, tmp_path):
    """The tutorial, in another environment and without a network."""
    run_in(installed, "plugin", "new", "brand-new", "--algorithm", cwd=tmp_path)
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", tmp_path / "brand-new")
    (wheel,) = (tmp_path / "brand-new/dist").glob("*.whl")
    python = installed / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps")
    call(*pip, "--force-reinstall", wheel)
    run_in(
        installed, "run", "--sources", "digits", "--algorithms", "brand-new,chance", "--shots", "1",
        "--encoders", "pixels", "--episodes", "20", "--jobs", "1", cwd=tmp_path,
    )  # fmt: skip
    with (tmp_path / "results/leaderboards/vision.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["algorithm"]: row for row in csv.DictReader(file)}
    assert (rows["brand-new"]["status"], rows["brand-new"]["plugin"]) == ("ok", "brand-new")
    assert float(rows["brand-new"]["mean"]) > float(rows["chance"]["mean"])
