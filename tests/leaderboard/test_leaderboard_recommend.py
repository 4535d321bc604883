"""What is recommended, and what is said of it."""

import re
from dataclasses import replace

import numpy as np
import pytest

from metabench.errors import MetabenchError, UsageError
from metabench.leaderboard.advice import in_lines
from metabench.leaderboard.recommend import recommend, recommend_store
from metabench.leaderboard.tables import build_tables
from metabench.runs.record import Cost
from metabench.runs.store import Store

SHARED = {"encoder": "minilm", "encoder_policy": "frozen"}


@pytest.fixture
def learners(make, rng):
    """Make records of learners by level, on the same episodes."""
    difficulty = rng.normal(0, 0.1, 200)

    def learners(levels, *, shot="5", cost=None, noise=0.03, **cell):
        return [
            make(
                np.clip(level + difficulty + rng.normal(0, noise, 200), 0, 1),
                algorithm=name, shot=shot, protocol=f"quick-5w{shot}s",
                protocol_digest=shot.ljust(64, "p"), digest=shot * 64,
                cost=Cost(train_seconds=0.0, adapt_ms_per_task=(cost or {}).get(name, 1.0)),
                **{**SHARED, "inductive": not name.startswith("seeing"), **cell},
            )
            for name, level in levels.items()
        ]  # fmt: skip

    return learners


def chance(make, shot="5"):
    return make(
        np.full(200, 0.2), algorithm="chance", encoder="none", encoder_policy="none", shot=shot,
        protocol=f"quick-5w{shot}s", protocol_digest=shot.ljust(64, "p"), digest=shot * 64,
    )  # fmt: skip


def test_the_best_is_picked_with_what_may_be_expected(make, learners):
    tables = build_tables([*learners({"good": 0.8, "fair": 0.6, "poor": 0.5}), chance(make)])
    found = recommend(tables, "glyphs")
    assert found.pick.algorithm == "good"
    assert found.compared == 3
    assert [one.algorithm for one in found.tied] == ["good"]
    assert found.expected.ci95_low < 0.8 < found.expected.ci95_high
    assert found.expected.optimism < 0.002
    assert found.rival.candidate.algorithm == "fair"
    assert found.rival.estimate.settled
    lines = in_lines(found)
    assert len(lines) == 5
    assert lines[0] == "Use      good with minilm on glyphs, with 5 labelled examples per class"
    assert "95 % interval" in lines[1]
    assert "200 test episodes of 5 classes, all from the same test classes" in lines[1]
    assert "chance 20.0 %" in lines[1]
    assert "none of the other 2 comes as near" in lines[2]
    assert "no more were tried" in lines[3]
    assert "ahead of fair with minilm" in lines[4]
    assert "of other classes, more classes and more labelled items tell" in lines[4]
    assert str(found) == "\n".join(lines)


def test_of_what_cannot_be_told_apart_the_cheapest_is_picked(learners):
    levels, cost = {"dear": 0.7, "cheap": 0.7, "poor": 0.4}, {"dear": 80.0, "cheap": 0.1}
    found = recommend(build_tables(learners(levels, cost=cost, noise=0.3)), "glyphs")
    assert {one.algorithm for one in found.tied} == {"dear", "cheap"}
    assert found.tied[0].algorithm == "cheap"
    if found.leader.algorithm == "dear":
        assert "cheapest within one standard error" in in_lines(found)[2]
    assert found.pick.algorithm == "cheap"


def test_a_transductive_learner_is_named_and_picked_only_where_queries_come_together(learners):
    tables = build_tables(learners({"plain": 0.6, "plainer": 0.5, "seeing": 0.8}))
    found = recommend(tables, "glyphs")
    assert found.pick.algorithm == "plain"
    assert found.transductive.candidate.algorithm == "seeing"
    assert found.transductive.estimate.difference == pytest.approx(-0.2, abs=0.05)
    assert "seeing with minilm is" in in_lines(found)[0]
    together = recommend(tables, "glyphs", together=True)
    assert together.pick.algorithm == "seeing"
    assert together.transductive is None
    assert "all queries of a task at once" in in_lines(together)[0]


def test_a_transductive_learner_that_is_no_better_is_not_named(learners):
    found = recommend(build_tables(learners({"a": 0.7, "b": 0.6, "seeing": 0.5})), "glyphs")
    assert found.transductive is None


def test_more_examples(learners):
    tables = build_tables(
        [
            *learners({"few": 0.6, "many": 0.5}, shot="1"),
            *learners({"few": 0.7, "many": 0.65}, shot="5"),
            *learners({"few": 0.75, "many": 0.9}, shot="10"),
        ]
    )
    found = recommend(tables, "glyphs", shot="5")
    assert [one.shot for one in found.other_shots] == ["1", "10"]
    fewer, more = found.other_shots
    assert fewer.change == pytest.approx(-0.1, abs=0.02)
    assert more.leader == "many with minilm"
    line = in_lines(found)[3]
    assert "points worse; with 10: " in line
    assert "best is many with minilm with 89." in line
    assert recommend(tables, "glyphs").shot == "10"
    with pytest.raises(UsageError, match="it has them with 1, 5, 10"):
        recommend(tables, "glyphs", shot="20")


def test_a_metric_that_is_better_when_smaller(make, learners):
    scale = {"metric": "nmse", "chance": 1.0, "best": 0.0, "task_kind": "regression"}
    found = recommend(build_tables(learners({"good": 0.3, "poor": 0.5}, **scale)), "glyphs")
    assert found.pick.algorithm == "good"
    assert found.expected.mean >= found.expected.observed
    assert in_lines(found)[0].endswith("with 5 labelled examples")
    assert "nmse 0.29" in in_lines(found)[1]
    assert "class" not in in_lines(found)[1] + in_lines(found)[4]
    assert "four times the episodes would halve the interval" in in_lines(found)[4]


def test_what_failed_is_said_and_what_does_not_apply_is_not(make, learners):
    place = {"shot": "5", "protocol": "quick-5w5s", "protocol_digest": "5".ljust(64, "p")}
    tables = build_tables(
        [
            *learners({"good": 0.8, "fair": 0.6}),
            make(status="killed", reason="out of memory", algorithm="big", **SHARED, **place),
            make(status="inapplicable", reason="no", algorithm="gp", **SHARED, **place),
        ]
    )
    found = recommend(tables, "glyphs")
    assert found.missing == (("killed", "big (minilm)", "out of memory"),)
    assert "big (minilm) killed (out of memory)" in in_lines(found)[4]


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        ({}, "only chance has a score"),
        ({"good": 0.8}, "one alone is no choice"),
        ({"seeing": 0.8, "seeing-too": 0.7}, "--transductive"),
        ({"lost": 0.2, "lost-too": 0.2}, "nothing is surely better than chance"),
    ],
)
def test_nothing_is_recommended_without_a_reason_to(make, learners, levels, told):
    found = recommend(build_tables([*learners(levels, noise=0.2), chance(make)]), "glyphs")
    assert found.pick is None
    assert told in found.reason
    lines = in_lines(found)
    assert lines[0].startswith("glyphs: no recommendation: ")


@pytest.mark.parametrize(
    ("scores", "units", "told"),
    [
        ([0.8], None, "two test episodes at least, .*metabench run --episodes gives more"),
        ([0.8, 0.7], np.zeros(2, int), "two test tasks at least, .*more columns with --targets"),
    ],
)
def test_what_one_task_lacks_is_said(make, scores, units, told):
    records = [make(scores, units=units, algorithm=name, **SHARED) for name in ("one", "two")]
    assert re.search(told, in_lines(recommend(build_tables(records), "glyphs"))[0])


def test_own_data_are_named_by_their_flags(make, learners):
    """Whoever asks for a number that was not run is told a command that runs it."""
    one, two = learners({"good": 0.8, "fair": 0.6})
    words = ["--data-table", "my wishes.csv", "--text", "wish"]
    told = {**one.record.provenance, "own_data": words}
    own = replace(one, record=one.record.model_copy(update={"provenance": told}))
    with pytest.raises(UsageError) as caught:
        recommend(build_tables([own]), "glyphs", shot="7")
    flags = "--data-table 'my wishes.csv' --text wish --shots 7"
    assert str(caught.value).endswith(f"metabench run {flags}")
    with pytest.raises(UsageError, match="metabench run --sources glyphs --shots 7"):
        recommend(build_tables([two]), "glyphs", shot="7")


def test_nothing_has_a_score(make):
    tables = build_tables([make(status="failed", reason="it broke", **SHARED)])
    with pytest.raises(MetabenchError, match=r"nothing on glyphs has a score: .*it broke"):
        recommend(tables, "glyphs")


def test_seeds_and_training_are_spoken_of(learners):
    records = learners({"good": 0.8, "fair": 0.6})
    trained = [
        one.record.model_copy(update={"cost": Cost(train_seconds=3.0, adapt_ms_per_task=1.0)})
        for one in records
    ]
    again = [type(one)(record, one.scores) for one, record in zip(records, trained, strict=True)]
    lines = in_lines(recommend(build_tables(again), "glyphs"))
    assert "3.00 s of training" in lines[2]
    assert "--seeds 0,1,2" in lines[4]


def test_a_store_needs_one_source_or_a_name(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(UsageError, match="holds no records"):
        recommend_store(store)


def test_the_order_of_the_records_changes_nothing(make, learners):
    records = [*learners({"a": 0.7, "b": 0.69, "c": 0.68}, noise=0.2), chance(make)]
    first = recommend(build_tables(records), "glyphs")
    assert recommend(build_tables(records[::-1]), "glyphs") == first
