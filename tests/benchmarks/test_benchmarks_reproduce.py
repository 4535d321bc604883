"""The published comparison is what its published records give, and what it says is right."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / "reproduce"
MADE = [
    "leaderboards/reproduction/reproduction.csv",
    "leaderboards/reproduction/experiments.csv",
    "leaderboards/reproduction/orders.csv",
    "docs/explanation/reproduction.md",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    command = [sys.executable, FOLDER, "--page-only", "--out", out]
    subprocess.run([*command, "--store", ROOT / "leaderboards" / "reproduction"], check=True)
    return out


@pytest.mark.parametrize("name", MADE)
def test_published_files_are_made_from_the_published_records(made, name):
    assert (made / name).read_text("utf-8") == (ROOT / name).read_text("utf-8")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def module(monkeypatch):
    """Import a module of the benchmark, or what the tests of the leaderboard share."""
    monkeypatch.syspath_prepend(ROOT / "tests" / "leaderboard")
    monkeypatch.syspath_prepend(FOLDER)
    names = ("columns", "experiments", "table", "order", "page")
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("paper", "rerun", "ours", "verdict"),
    [
        ("98.7", "98.1; 98.4", 98.3, "within"),
        ("98.7", "98.1; 98.4", 97.7, "within a rerun's"),
        ("98.7", "98.1; 98.4", 97.5, "below"),
        ("98.9", "93.2", 99.42, "above"),
        ("98.9", "93.2", 95.0, "between"),
        ("", "96.1", 92.8, "below"),
        ("", "", 92.8, "nothing to compare with"),
    ],
)
def test_verdicts(module, paper, rerun, ours, verdict):
    line = {"paper": paper, "rerun": rerun, "margin": "0.5"}
    assert module("table")._verdict(line, ours) == verdict


@pytest.mark.parametrize(
    "case",
    [
        ((69.2, 85.7), (0.5, 0.9), "same"),
        ((69.2, 85.7), (0.9, 0.5), "other"),
        ((69.2, 85.7), (0.7, 0.7), "open"),
        ((85.2, 85.7), (0.5, 0.9), None),  # published numbers do not set them apart
    ],
)
@pytest.mark.parametrize("errors", [False, True])
def test_order_of_a_pair(module, rng, case, errors):
    published, levels, order = case
    record_of = module("record_cases").record_of
    ours = module("order")
    names = ("one", "two")
    limits = {"chance": 1.0, "best": 0.0} if errors else {}
    common = rng.uniform(-0.1, 0.1, 50)
    scored = []
    for name, level in zip(names, levels, strict=True):
        scores = level + common + rng.uniform(-0.01, 0.01, 50)
        scores = 1 - scores if errors else scores
        record = record_of({"scores": scores}, algorithm=name, episodes_digest="f" * 64, **limits)
        scored.append(module("metabench.leaderboard.evidence").Scored(record, scores))
    tables = module("metabench.leaderboard.tables").build_tables(scored)
    methods = tuple(ours.Method(n, n, "conv4", p) for n, p in zip(names, published, strict=True))
    table = ours.Table("a table", "somebody", ("glyphs", "5", "1"), 1.0, methods)
    pairs = list(ours._pairs(table, tables))
    assert [pair.order for pair in pairs] == ([] if order is None else [order])
    assert all((pair.better, pair.worse) == ("two", "one") for pair in pairs)


def test_experiments_are_no_rows(module, rng, tmp_path):
    cases = module("record_cases")
    table = module("table")
    cell = {"source": "omniglot", "algorithm": "meta-sgd-4-tasks"}
    for name in ("omniglot-why-5w1s", "omniglot-reproduction-5w1s"):
        protocol = {"name": name, "way": len(name)}
        cases.put(tmp_path, cases.classified(rng, 0.9), protocol=protocol, **cell)
    scored = list(cases.Store(tmp_path).scan_scored())
    is_experiment = module("experiments").is_experiment
    (row,) = (one for one in table.compare([s for s in scored if not is_experiment(s)]) if one.ours)
    assert (row.method, row.verdict) == ("Meta-SGD", "below")
    (tried,) = module("experiments").experiments(filter(is_experiment, scored), {})
    assert (tried.algorithm, tried.difference) == ("meta-sgd-4-tasks", "")
    with pytest.raises(SystemExit, match="several protocols"):
        table.compare(scored)
