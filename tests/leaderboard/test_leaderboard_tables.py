import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from metabench.leaderboard.evidence import SEVERITY
from metabench.leaderboard.row import COLUMNS
from metabench.leaderboard.statistics import bootstrap_means, percentile_interval
from metabench.leaderboard.tables import build_tables

DESIGN = (
    "domain, source, task_kind, way, shot, encoder, algorithm, metric, mean, ci95_low, ci95_high, "
    "ci_over, normalized, rank_low, rank_high, chance, episodes, seeds, status, train_seconds, "
    "adapt_ms_per_task, peak_memory_mb, parameters, inductive, plugin, plugin_version, protocol, "
    "protocol_digest, episodes_digest, reason, other_metrics"
)


def only(scored):
    (row,) = build_tables(scored).rows
    return row


def by_name(scored):
    return {row.algorithm: row for row in build_tables(scored).rows}


def test_columns_are_the_published_ones():
    assert ", ".join(COLUMNS) == DESIGN


def test_one_seed(make, rng):
    scores = rng.uniform(size=50)
    row = only([make(scores)])
    low, high = scipy.stats.t.interval(0.95, 49, scores.mean(), scipy.stats.sem(scores))
    assert row.mean == pytest.approx(scores.mean())
    assert (row.ci95_low, row.ci95_high) == pytest.approx((low, high))
    assert row.ci_over == "episodes"
    assert row.normalized == pytest.approx((scores.mean() - 0.2) / 0.8)
    assert (row.rank_low, row.rank_high) == (1, 1)
    assert (row.episodes, row.seeds, row.status, row.reason) == (50, 1, "ok", "")
    assert row.episodes_digest == "e0" * 32


def test_several_seeds(make, rng):
    scores = rng.uniform(size=(3, 40))
    scores[1, 5] = np.nan
    row = only([make(scores[seed], seed=seed) for seed in (2, 0, 1)])
    assert row.mean == pytest.approx(np.nanmean(scores, axis=1).mean())
    assert row.ci_over == "seeds,episodes"
    expected = percentile_interval(bootstrap_means(scores[None])[0])
    assert (row.ci95_low, row.ci95_high) == pytest.approx(expected)
    assert (row.episodes, row.seeds) == (119, 3)
    assert row.episodes_digest not in {"", "e0" * 32}


def test_task_pools_count_tasks_not_draws(make, rng):
    scores, units = rng.uniform(size=60), np.repeat(np.arange(6), 10)
    row = only([make(scores, units=units, training={"unit": "tasks"})])
    tasks = scores.reshape(6, 10).mean(axis=1)
    expected = scipy.stats.t.interval(0.95, 5, tasks.mean(), scipy.stats.sem(tasks))
    assert (row.ci95_low, row.ci95_high) == pytest.approx(expected)
    assert (row.ci_over, row.episodes) == ("tasks", 60)


def test_one_episode_publishes_no_error(make):
    row = only([make([0.5])])
    assert row.mean == 0.5
    assert (row.ci95_low, row.ci95_high, row.ci_over) == (None, None, None)
    row = only([make([0.5], seed=0), make([0.7], seed=1)])
    assert (row.mean, row.ci95_low) == (pytest.approx(0.6), None)


def test_rows_that_cannot_be_told_apart_share_ranks(make, rng):
    difficulty = rng.uniform(0.3, 0.7, 300)
    rows = by_name(
        [
            make(difficulty + 0.2 + rng.normal(0, 0.05, 300), algorithm="best"),
            make(difficulty, algorithm="twin-a"),
            make(difficulty, algorithm="twin-b"),
            make(np.full(300, 0.2), algorithm="chance", encoder="none", encoder_policy="none"),
        ]
    )
    assert (rows["best"].rank_low, rows["best"].rank_high) == (1, 1)
    assert (rows["twin-a"].rank_low, rows["twin-a"].rank_high) == (2, 3)
    assert (rows["twin-b"].rank_low, rows["twin-b"].rank_high) == (2, 3)
    assert (rows["chance"].rank_low, rows["chance"].rank_high) == (4, 4)


def test_lower_is_better_where_best_is_below_chance(make, rng):
    base = rng.uniform(size=100)
    scale = {"metric": "rmse", "chance": 1.0, "best": 0.0, "task_kind": "regression"}
    tables = build_tables(
        [make(base, algorithm="good", **scale), make(base + 1, algorithm="bad", **scale)]
    )
    assert [row.algorithm for row in tables.rows] == ["good", "bad"]
    assert [row.rank_low for row in tables.rows] == [1, 2]
    assert tables.rows[0].normalized == pytest.approx(1 - base.mean())


def test_no_normalized_score_without_a_scale(make):
    assert only([make([0.1, 0.3], chance=0.5, best=0.5)]).normalized is None


def test_different_episodes_are_never_ranked_together(make):
    tables = build_tables(
        [
            make(np.full(50, 0.9), algorithm="a"),
            make(np.full(50, 0.1), algorithm="b", digest="other"),
        ]
    )
    assert [(row.rank_low, row.rank_high) for row in tables.rows] == [(1, 1), (1, 1)]
    assert any("2 sets of test episodes" in message for message in tables.messages)


def test_different_protocols_of_one_name_are_told(make):
    tables = build_tables(
        [
            make(np.full(50, 0.9), algorithm="a", protocol_settings={"budget": 1}),
            make(
                np.full(50, 0.1),
                algorithm="a",
                protocol_digest="q" * 64,
                protocol_settings={"budget": 2},
            ),
        ]
    )
    assert [row.rank_low for row in tables.rows] == [1, 1]
    (message,) = tables.messages
    assert "2 protocol digests" in message
    assert "budget: 1 or 2" in message


def test_other_seeds_are_other_episodes(make):
    scored = [make(np.full(20, 0.5), algorithm="a", seed=seed) for seed in (0, 1)]
    tables = build_tables([*scored, make(np.full(20, 0.9), algorithm="b")])
    assert {row.rank_high for row in tables.rows} == {1}
    assert any("1 or 2 seeds" in message for message in tables.messages)


def test_equal_digests_with_other_lengths_are_not_paired(make):
    tables = build_tables([make([0.5] * 9, algorithm="a"), make([0.9] * 8, algorithm="b")])
    assert {row.rank_high for row in tables.rows} == {1}
    assert any("number of scores" in message for message in tables.messages)


@pytest.mark.parametrize("status", SEVERITY[:-1])
def test_a_missing_seed_leaves_the_row_without_a_number(make, status):
    row = only(
        [make([0.5, 0.7], seed=0), make(seed=1, status=status, reason="line one\n\tline two")]
    )
    assert (row.status, row.mean, row.ci95_low, row.rank_low) == (status, None, None, None)
    assert (row.episodes, row.seeds, row.normalized) == (None, 2, None)
    assert row.reason == "seed 1: line one line two"


def test_the_worst_status_wins_and_reasons_name_their_seeds(make):
    row = only(
        [
            make(seed=0, status="timeout", reason="60 s"),
            make(seed=1, status="failed", reason="boom"),
            make(seed=2, status="failed", reason="boom"),
        ]
    )
    assert row.status == "failed"
    assert row.reason == "seed 0: timeout: 60 s; seeds 1, 2: boom"


def test_a_reason_is_cut(make):
    assert len(only([make(status="failed", reason="x" * 999)]).reason) == 300


def test_ok_without_usable_scores(make):
    missing = only([make(status="ok")])
    assert (missing.status, missing.mean) == ("failed", None)
    undefined = only([make([np.nan, np.nan])])
    assert (undefined.status, undefined.mean, undefined.rank_low) == ("ok", None, None)
    assert undefined.reason == "accuracy is undefined on all 2 episodes"


def test_one_infinite_score_harms_nobody_else(make, rng):
    rows = by_name(
        [make(rng.uniform(size=30), algorithm="a"), make([-np.inf] + [0.5] * 29, algorithm="b")]
    )
    assert rows["b"].mean is None
    assert "infinite" in rows["b"].reason
    assert (rows["a"].rank_low, rows["a"].rank_high) == (1, 1)


def test_of_several_records_ok_wins_then_the_newest(make):
    old = make([0.1, 0.2], key="a", finished="2026-01-02T00:00:00+00:00")
    new = make([0.3, 0.4], key="b", finished="2026-01-02T01:30:00+02:00")
    failed = make(status="failed", key="c", finished="2027-01-01T00:00:00+00:00")
    tables = build_tables([new, failed, old])
    assert tables.rows[0].mean == pytest.approx(0.15)  # 01:30+02:00 is the day before
    assert any("3 records" in message for message in tables.messages)


def test_mixed_plugin_versions_are_told(make):
    tables = build_tables(
        [make([0.5, 0.6], seed=0), make([0.5, 0.6], seed=1, plugin_version="0.2.0")]
    )
    assert tables.rows[0].plugin_version == "0.1.0 + 0.2.0"
    assert any("different versions" in message for message in tables.messages)


def test_undefined_on_different_episodes_is_told(make):
    tables = build_tables(
        [make([0.5, np.nan, 0.7], algorithm="a"), make([0.5, 0.6, 0.7], algorithm="b")]
    )
    assert any("undefined on other episodes" in message for message in tables.messages)


def test_no_records():
    tables = build_tables([])
    assert tables.rows == ()
    assert tables.domains == ()


SCORE = st.one_of(st.floats(0, 1), st.just(float("nan")), st.just(0.5), st.just(float("-inf")))
CELLS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 2),
        st.one_of(st.none(), st.lists(SCORE, min_size=1, max_size=6)),
    ),
    max_size=9,
)


@settings(max_examples=60)
@given(CELLS, st.randoms(use_true_random=False))
def test_tables_ignore_order_names_and_duplicates(make, cells, random):
    def tables(rename=str, repeat=1):
        scored = [
            make(scores, algorithm=rename(name), seed=seed, key=f"{i}")
            for i, (name, seed, scores) in enumerate(cells)
        ] * repeat
        random.shuffle(scored)
        return build_tables(scored)

    first = tables()
    assert tables(repeat=2).rows == first.rows
    renamed = tables({"a": "z", "b": "m", "c": "d"}.__getitem__)

    def numbers(one):
        return sorted(
            repr((row.mean, row.ci95_low, row.ci95_high, row.rank_low, row.rank_high, row.status))
            for row in one.rows
        )

    assert numbers(renamed) == numbers(first)
    assert len(first.rows) == len({name for name, _, _ in cells})
    for row in first.rows:
        assert row.mean is None or np.isfinite(row.mean)
        assert row.mean is None or row.status == "ok"
        assert (row.mean is None) == (row.rank_low is None)
