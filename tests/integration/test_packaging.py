"""Wheels work without the checkout, and a stranger's plugin is as good as ours."""

import csv

import pytest
from wheel_cases import call, run_in


@pytest.mark.slow
def test_wheels_run_a_cell_of_every_plugin_without_the_checkout(installed, tmp_path):
    where = call(
        installed / "bin" / "python", "-c", "import metabench; print(metabench.__file__)",
        cwd=tmp_path, env={},
    )  # fmt: skip
    assert str(installed) in where
    run_in(
        installed, "run", "--sources", "blobs,digits,intents", "--shots", "1", "--way", "3",
        "--algorithms", "chance,protonet,nearest-mean", "--episodes", "20", "--budget", "600",
        "--encoders", "toy-linear,toy-plain,conv4,hashed-ngrams", cwd=tmp_path,
    )  # fmt: skip
    rows = {}
    for domain in ("toy", "vision", "nlp"):
        path = tmp_path / "results" / "leaderboards" / f"{domain}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                rows[row["source"], row["encoder"], row["algorithm"]] = row
    for cell in (
        ("blobs", "toy-linear", "nearest-mean"),
        ("blobs", "toy-plain", "protonet"),
        ("digits", "conv4", "nearest-mean"),
        ("intents", "hashed-ngrams", "protonet"),
    ):
        assert rows[cell]["status"] == "ok", cell
    assert rows["blobs", "toy-linear", "nearest-mean"]["plugin"] == "metabench-toy"
    assert rows["blobs", "conv4", "protonet"]["status"] == "inapplicable"


@pytest.mark.slow
def test_wheels_hold_no_tests_and_no_data_sets(installed):
    site = next(installed.glob("lib/python*/site-packages"))
    assert not list(site.glob("tests"))
    large = [p for p in site.glob("metabench*/**/*") if p.is_file() and p.stat().st_size > 10**6]
    assert large == []
