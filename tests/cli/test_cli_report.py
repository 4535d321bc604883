"""``metabench report`` and ``metabench leaderboard site``: from a store to figures and pages."""

import numpy as np
import pytest
from click.testing import CliRunner

from metabench.cli import main
from metabench.runs.record import Cell, Cost, Record, digest_of
from metabench.runs.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    opened = Store(root)
    rng = np.random.default_rng(0)
    for algorithm in ("protonet", "maml"):
        cell = Cell(
            domain="vision", source="glyphs", task_kind="classification", encoder="conv4",
            encoder_policy="trainable", algorithm=algorithm, protocol="quick-5w1s",
            protocol_digest="p" * 64, way="5", shot="1", metric="accuracy", chance=0.2, best=1.0,
            seed=0, inductive=True, plugin="metabench-algorithms", plugin_version="0.1.0",
        )  # fmt: skip
        parts = {"algorithm": {"name": algorithm}}
        scores = rng.uniform(0.4, 0.8, 20)
        record = Record(
            key=digest_of(parts), key_parts=parts, cell=cell, status="ok",
            mean=float(scores.mean()), episodes=20, episodes_digest="e" * 64,
            cost=Cost(train_seconds=1.0, adapt_ms_per_task=0.1, parameters=10),
        )  # fmt: skip
        opened.put(record, {"scores": scores, "units": np.empty(0, dtype=np.int64)})
    return root


def call(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_report_writes_figures(store, tmp_path):
    result = call("report", "--store", store, "--out", tmp_path, "--format", "svg, PNG")
    assert result.exit_code == 0, result.output
    told = [line.split()[1] for line in result.stdout.splitlines()]
    assert sorted(told) == sorted(str(path) for path in tmp_path.iterdir())
    assert f"{tmp_path / 'critical-difference-trainable.svg'}" in told
    assert f"{tmp_path / 'heat-trainable.png'}" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "jpg"), "unknown format 'jpg'; did you mean png?"),
        (("--format", ","), "--format is empty; known: svg, png, pdf"),
        (("--store", "nonesuch"), "nonesuch holds no records; `metabench run --store nonesuch`"),
    ],
)
def test_what_cannot_be_drawn_is_said(store, tmp_path, arguments, said):
    result = call("report", "--store", store, "--out", tmp_path / "out", *arguments)
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "out").exists()


def test_site_command(store, tmp_path):
    result = call("leaderboard", "site", "--store", store, "--out", tmp_path / "site")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == f"site    {tmp_path / 'site' / 'index.html'}"
    assert (tmp_path / "site" / "vision.html").exists()


def test_a_damaged_record_is_named_and_left_where_it_is(store, tmp_path):
    import shutil

    copy = tmp_path / "store"
    shutil.copytree(store, copy)
    path = next((copy / "records").rglob("maml*.json"))
    path.write_text(path.read_text()[:-30])
    result = call("report", "--store", copy, "--out", tmp_path / "out")
    assert "is torn" in result.stderr
    assert path.exists()
