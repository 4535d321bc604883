"""``metabench recommend`` on a store on disk."""

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from metabench.cli import main
from metabench.runs.record import Cell, Cost, Failure, Record
from metabench.runs.store import Store


def put(store, difficulty, algorithm, level, *, source="glyphs", shot="5"):
    rng = np.random.default_rng(len(algorithm + source + shot))
    one = Cell(
        domain="vision", source=source, task_kind="classification", encoder="conv4",
        encoder_policy="trainable", algorithm=algorithm, protocol=f"quick-5w{shot}s",
        protocol_digest=shot.ljust(64, "p"), way="5", shot=shot, metric="accuracy", chance=0.2,
        best=1.0, seed=0, inductive=algorithm != "tim", plugin="p", plugin_version="1",
    )  # fmt: skip
    if level is None:
        failure = Failure(reason="took 60 s")
        store.put(Record(key="l" * 64, key_parts={}, cell=one, status="timeout", failure=failure))
        return
    record = Record(
        key=f"{algorithm}{source}{shot}".ljust(64, "0"), key_parts={}, cell=one, status="ok",
        episodes_digest=shot * 64, cost=Cost(train_seconds=2.0, adapt_ms_per_task=0.5),
    )  # fmt: skip
    scores = np.clip(level + difficulty + rng.normal(0, 0.05, len(difficulty)), 0, 1)
    store.put(record, {"scores": scores, "units": np.empty(0, dtype=np.int64)})


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "results")
    difficulty = np.random.default_rng(0).normal(0, 0.1, 80)
    for algorithm, level in (("protonet", 0.7), ("maml", 0.6), ("tim", 0.8), ("late", None)):
        put(opened, difficulty, algorithm, level)
    put(opened, difficulty, "protonet", 0.5, shot="1")
    return opened.root


@pytest.fixture
def call(store):
    def invoke(*arguments):
        return CliRunner().invoke(main, ["recommend", *arguments, "--store", str(store)])

    return invoke


def test_five_lines(call):
    result = call()
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["Use", "Expect", "Ties", "Examples", "Surer"]
    assert "protonet with conv4 on glyphs" in lines[0]
    assert "tim with conv4 is" in lines[0]
    assert "with 1: " in lines[3]
    assert "late (conv4) timeout (took 60 s)" in lines[4]


def test_json(call):
    found = json.loads(call("--json", "--transductive").stdout)
    assert found["pick"]["algorithm"] == "tim"
    assert found["expected"]["ci_over"] == "episodes"
    assert len(found["lines"]) == 5


def test_no_recommendation_is_a_failure(call):
    result = call("--shots", "1")
    assert result.exit_code == 1
    assert "one alone is no choice" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--source", "glyph"), "did you mean glyphs?"),
        (("--shots", "7"), "it has them with 1, 5"),
    ],
)
def test_errors_are_one_line(call, arguments, said):
    result = call(*arguments)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert said in line


def test_of_several_sources_one_has_to_be_named(call, store):
    put(Store(store), np.zeros(30), "protonet", 0.5, source="digits")
    assert "name one with --source: digits, glyphs" in call().stderr
    assert call("--source", "glyphs").exit_code == 0


def test_neither_torch_nor_pandas_is_imported(store):
    code = (
        "import sys, metabench\n"
        f"print(metabench.recommend(store={str(store)!r}))\n"
        "assert not {'torch', 'pandas', 'click', 'rich'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Use      protonet with conv4")
