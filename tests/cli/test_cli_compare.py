"""``metabench compare`` on a store on disk."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from metabench.cli import main
from metabench.runs.record import Cell, Failure, Record
from metabench.runs.store import Store


def cell(algorithm, source, seed):
    return Cell(
        domain="vision", source=source, task_kind="classification", encoder="conv4",
        encoder_policy="trainable", algorithm=algorithm, protocol="quick-5w1s",
        protocol_digest="p" * 64, way="5", shot="1", metric="accuracy", chance=0.2, best=1.0,
        seed=seed, inductive=True, plugin="p", plugin_version="1",
    )  # fmt: skip


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "results")
    rng = np.random.default_rng(0)
    for source in ("digits", "glyphs"):
        for seed in range(2):
            base = rng.uniform(0.3, 0.5, 40)
            for algorithm, level in (("protonet", 0.2), ("maml", 0.0)):
                scores = base + level + rng.normal(0, 0.05, 40)
                one = cell(algorithm, source, seed)
                record = Record(
                    key=f"{algorithm}{source}{seed}".ljust(64, "0"), key_parts={}, cell=one,
                    status="ok", episodes_digest=f"e{seed}" * 32,
                )  # fmt: skip
                opened.put(record, {"scores": scores, "units": np.empty(0, dtype=np.int64)})
    late = cell("late", "glyphs", 0)
    opened.put(
        Record(key="l" * 64, key_parts={}, cell=late, status="timeout",
               failure=Failure(reason="took 60 s"))
    )  # fmt: skip
    return opened.root


@pytest.fixture
def call(store):
    def invoke(*arguments):
        return CliRunner().invoke(main, ["compare", *arguments, "--store", str(store)])

    return invoke


def test_it_prints_numbers_and_words(call):
    result = call("protonet", "maml")
    assert result.exit_code == 0, result.output
    assert "protonet minus maml; positive is better for protonet" in result.stdout
    assert "quick-5w1s conv4  40 x 2 seeds  +0." in result.stdout
    assert "Over 2 sources: +0." in result.stdout
    assert "One seed" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_json(call):
    found = json.loads(call("maml", "protonet", "--source", "glyphs", "--json").stdout)
    assert found["overall"] is None
    (block,) = found["blocks"]
    assert block["estimate"]["difference"] < 0
    assert block["estimate"]["unit"] == "seeds"
    assert block["estimate"]["in_words"]
    (source,) = found["sources"]
    assert source["source"] == "glyphs"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("protonet", "mmal"), 2, "'mmal'; did you mean maml? `metabench run --algorithms"),
        (("protonet", "zzz"), 2, "no records of the algorithm 'zzz'; `metabench run --algorithms"),
        (("protonet", "protonet"), 2, "two different algorithms"),
        (("protonet", "maml", "--source", "digit"), 2, "did you mean digits?"),
        (("protonet", "maml", "--encoder", "conv5"), 2, "did you mean conv4?"),
        (("protonet", "late"), 1, "late is timeout (took 60 s)"),
        (("late", "maml", "--source", "digits"), 1, "late has no records there"),
    ],
)
def test_errors_are_one_line(call, arguments, code, said):
    result = call(*arguments)
    assert result.exit_code == code
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("metabench: error: ")
    assert said in line


def test_a_store_without_records(tmp_path):
    result = CliRunner().invoke(main, ["compare", "a", "b", "--store", str(tmp_path)])
    assert result.exit_code == 2
    assert "holds no records" in result.stderr


def test_a_damaged_record_is_told_and_left_where_it_is(call, store):
    path = next(store.rglob("maml*.npz"))
    path.write_bytes(b"torn")
    result = call("protonet", "maml")
    assert result.exit_code == 0
    assert "has damaged scores" in result.stderr
    assert path.read_bytes() == b"torn"
