"""The gate for submissions: every kind of bad record is named with its file."""

import json

import numpy as np
import pytest
from record_cases import classified, make_store, put, record_of, reseal

from metabench.leaderboard.submission import check_submission, timing_faults
from metabench.runs.record import Cost
from metabench.runs.rescore import scores_from_predictions


@pytest.fixture
def folder(tmp_path, rng):
    return make_store(tmp_path / "submission", rng)


def failures(folder, published=None, strangers=lambda _: ()):
    checks = list(check_submission(folder, published, strangers, scores_from_predictions))
    return [str(check) for check in checks if check.outcome != "pass"]


def test_a_sound_submission_passes(folder):
    checks = list(check_submission(folder, None, lambda _: ()))
    assert [check.outcome for check in checks] == ["pass"] * 7
    assert failures(folder / "records") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[:200], "is torn"),
        (lambda text: text.replace('"mean": 0.', '"mean": 0.9'), "changed after it was written"),
        (
            lambda text: json.dumps(json.loads(text) | {"schema_version": 3}),
            "schema version 3, and this metabench reads version 2: update metabench",
        ),
    ],
)
def test_files_that_are_no_records(folder, change, said):
    path = next((folder / "records/glyphs").rglob("maml*.json"))
    path.write_text(change(path.read_text()))
    (line,) = failures(folder)
    assert path.relative_to(folder).as_posix() in line
    assert said in line


def test_stray_files(folder, tmp_path):
    place = folder / "records" / "glyphs" / "quick-5w1s"
    (place / "run.sh").write_text("rm")
    (place / "alone.npz").write_bytes(b"")
    (place / "link.json").symlink_to(tmp_path / "nowhere")
    said = failures(folder)
    assert any("run.sh: is no part of a record" in line for line in said)
    assert any("alone.npz: holds scores without a record" in line for line in said)
    assert any("link.json: is a link" in line for line in said)


def test_duplicates(folder, tmp_path, rng):
    put(folder, classified(rng, 0.7), algorithm="maml", code="b" * 64)
    (line,) = failures(folder)
    assert "is a record of the same cell" in line
    published = tmp_path / "published"
    put(published, classified(rng, 0.5), algorithm="tim")
    assert any("the published tim--" in line and "with mean" in line
               for line in failures(folder, published))  # fmt: skip


def test_mixed_digests_inside_and_against_what_is_published(folder, tmp_path, rng):
    put(folder, classified(rng, 0.7), algorithm="new", protocol={"query": 10})
    (line,) = failures(folder)
    assert "query: 15 or 10" in line
    published = tmp_path / "published"
    put(published, classified(rng, 0.5), algorithm="old", episodes_digest="f" * 64)
    assert sum("its test episodes are" in line for line in failures(folder, published)) == 3


def test_strangers_are_told(folder):
    said = failures(folder, strangers=lambda record: [f"no {record.cell.algorithm} here"])
    assert len(said) == 7
    assert any("no maml here" in line for line in said)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"provenance": {"finished": "2025-12-31T00:00:00+00:00"}}, "before it was started"),
        ({"provenance": {"finished": "2999-01-01T00:00:00+00:00"}}, "in the future"),
        ({"provenance": {"started": "noon"}}, "does not say when"),
        ({"cost": Cost(adapt_ms_per_task=-1.0)}, "its adapt_ms_per_task is -1"),
        ({"cost": Cost(adapt_ms_per_task=1e6)}, "its test took 30000 s, and the whole cell 60 s"),
        ({"cost": Cost()}, "does not say how long adaptation took"),
        ({"cost": Cost(adapt_ms_per_task=1.0, examples_seen=9)}, "it saw 9 examples in no time"),
        (
            {"cost": Cost(adapt_ms_per_task=1.0, examples_seen=2000, train_seconds=1.0)},
            "it saw 2000 examples, and its budget is 1000",
        ),
    ],
)
def test_times_that_cannot_be(rng, fields, said):
    (line,) = timing_faults(record_of(classified(rng, 0.5), **fields))
    assert said in line


def test_scores_that_cannot_be(tmp_path, rng):
    arrays = {"scores": np.full(30, 1.5), "units": np.empty(0, np.int64)}
    put(tmp_path, arrays)
    said = failures(tmp_path)
    assert any("is better than the best possible, 1" in line for line in said)
    assert any("an accuracy outside 0 to 1" in line for line in said)


def test_a_forged_mean(folder):
    path = next((folder / "records/glyphs").rglob("maml*.json"))
    reseal(path, lambda values: values.update(mean=0.99))
    (line,) = failures(folder)
    assert "its mean is 0.99" in line
