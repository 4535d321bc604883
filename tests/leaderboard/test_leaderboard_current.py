"""Records of data that have changed since are left out."""

import numpy as np
import pytest

from metabench.leaderboard.current import data_digest, left_out, of_latest_data
from metabench.leaderboard.recommend import recommend_run, recommend_store
from metabench.runs.store import Store


@pytest.fixture
def record(make):
    """Make the record of a learner on data in some state."""

    def record(name, digest, day, scores=(0.5, 0.6), **more):
        parts = {"source": {"name": "glyphs", "digest": digest}, "state": day}
        return make(
            scores, algorithm=name, key=f"{name}{digest}".ljust(64, "0"), key_parts=parts,
            finished=f"2026-01-{day:02}T00:00:00+00:00", digest=(digest or "n") * 64, **more,
        )  # fmt: skip

    return record


def test_the_record_that_was_finished_last_says_which_data_count(record):
    old = [record(name, "a", 1).record for name in ("one", "two", "three")]
    new = record("one", "b", 2).record
    never = record("big", "", 3, None, status="unavailable").record
    kept, number = of_latest_data([old[0], new, *old[1:], never])
    assert kept == [new, never]
    assert number == 3
    assert data_digest(new) == "b"
    assert left_out(number, "glyphs") == (
        "glyphs: 3 records of earlier data left out: the data have changed since",
    )
    assert left_out(0, "glyphs") == ()


def test_data_that_are_known_to_be_the_latest_count(record):
    old, new = (record("one", state, day).record for state, day in (("a", 1), ("b", 2)))
    assert of_latest_data([old, new], "a") == ([old], 1)
    assert of_latest_data([old, new], "gone") == ([new], 1)


def test_records_without_a_digest_are_all_of_the_same_data(make):
    records = [make((0.1, 0.2), algorithm=name).record for name in "ab"]
    assert of_latest_data(records) == (records, 0)


def test_the_answer_rests_on_the_data_as_they_are(record, tmp_path, rng):
    """More learners ran on the old data, and with other winners."""
    store, kept = Store(tmp_path), {}
    difficulty = rng.normal(0, 0.1, 60)
    for state, day, levels in (
        ("a", 1, {"lost": 0.9, "won": 0.6, "third": 0.5}),
        ("b", 2, {"lost": 0.5, "won": 0.8}),
    ):
        for name, level in levels.items():
            scores = np.clip(level + difficulty + rng.normal(0, 0.03, 60), 0, 1)
            one = record(name, state, day, scores)
            arrays = {"scores": scores, "units": np.empty(0, np.int64)}
            kept[name, state] = store.put(one.record, arrays)
    found = recommend_store(store)
    assert found.pick.algorithm == "won"
    assert found.compared == 2
    assert "3 records of earlier data left out" in found.messages[0]
    earlier = [one for (_, state), one in kept.items() if state == "a"]
    assert recommend_run(store, earlier, "glyphs").pick.algorithm == "lost"
