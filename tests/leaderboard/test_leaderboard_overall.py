from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metabench.leaderboard.overall import build_overall, overall_columns
from metabench.leaderboard.tables import build_tables

PUBLISHED = (
    "encoder_policy, algorithm, rank, mean_rank, normalized, ci95_low, ci95_high, coverage, "
    "cells_ok, cells_applicable, blocks, inductive, plugin, plugin_version, mean_rank_low, "
    "mean_rank_high, win_rate, group_low, group_high, rank_complete_cases, rank_worst_case, "
    "cells_unavailable, blocks_not_run"
)
CHANCE = {"algorithm": "chance", "encoder": "none", "encoder_policy": "none"}
FROZEN = {"encoder": "minilm", "encoder_policy": "frozen"}


def overall(scored):
    rows = build_overall(build_tables(scored))
    return {(row.encoder_policy, row.algorithm): row for row in rows}


def field(make, rng, levels, sources=("s1", "s2"), **cell):
    return [
        make(level + rng.normal(0, 0.01, 60), algorithm=name, source=source, **cell)
        for name, level in levels.items()
        for source in sources
    ]


def test_ranks_scores_and_reference(make, rng):
    levels = {"a": 0.9, "b": 0.7, "c": 0.5}
    scored = field(make, rng, levels)
    scored += field(make, rng, {"a": 0.6}, sources=("t",), domain="nlp", **FROZEN)
    for source, domain in (("s1", "vision"), ("s2", "vision"), ("t", "nlp")):
        scored.append(make(np.full(60, 0.2), source=source, domain=domain, **CHANCE))
    rows = overall(scored)
    a = rows["trainable", "a"]
    assert (a.rank, a.mean_rank, a.blocks, a.coverage) == (1, 1.0, 2, 1.0)
    assert a.normalized == pytest.approx(0.875, abs=0.01)
    assert a.ci95_low < a.normalized < a.ci95_high
    assert a.by_domain == {"nlp": None, "vision": pytest.approx(a.normalized)}
    assert rows["frozen", "a"].mean_rank == 1.0
    chance = rows["none", "chance"]
    assert (chance.rank, chance.blocks) == (None, 3)
    assert chance.mean_rank == pytest.approx((4 + 4 + 2) / 3)
    assert rows["trainable", "c"].rank == 3
    assert (a.win_rate, rows["trainable", "c"].win_rate) == (1, pytest.approx(1 / 3))
    assert (a.mean_rank_low, a.mean_rank_high) == (1, 1)
    columns = overall_columns(("nlp", "vision"))
    assert ", ".join(columns[:-2]) == PUBLISHED
    assert columns[-2:] == ("normalized_nlp", "normalized_vision")
    assert set(a.values()) == set(columns)


def test_domains_weigh_the_same(make):
    scored = [make(np.full(9, 1.0), source=f"s{i}") for i in range(5)]
    scored.append(make(np.full(9, 0.2), source="t", domain="nlp"))
    row = overall(scored)["trainable", "protonet"]
    assert row.normalized == pytest.approx(0.5)
    assert row.ci95_low == pytest.approx(0)
    assert row.ci95_high == pytest.approx(1)


def test_a_missing_cell_is_not_ranked_and_moves_nobody(make, rng):
    levels = {"a": 0.9, "c": 0.5}
    scored = field(make, rng, levels)
    full = overall(scored)
    scored += field(make, rng, {"b": 0.99}, sources=("s1",))
    scored.append(make(algorithm="b", source="s2", status="timeout"))
    scored.append(make(np.full(60, 0.5), algorithm="b", source="n", domain="nlp"))
    rows = overall(scored)
    b = rows["trainable", "b"]
    assert (b.rank, b.mean_rank, b.normalized, b.ci95_low) == (None, None, None, None)
    assert (b.cells_ok, b.cells_applicable, b.coverage) == (2, 3, pytest.approx(2 / 3))
    assert b.by_domain == {"vision": None, "nlp": pytest.approx(0.375)}
    for name in levels:
        beside = {"by_domain": {}, "rank_complete_cases": None, "rank_worst_case": None}
        now, before = rows["trainable", name], full["trainable", name]
        assert replace(now, **beside) == replace(before, **beside)


def test_complete_cases_and_worst_case_stand_beside_the_rank(make, rng):
    scored = field(make, rng, {"a": 0.9, "c": 0.5}, sources=("s1", "s2", "s3"))
    scored += field(make, rng, {"b": 0.99}, sources=("s1", "s2"))
    scored.append(make(algorithm="b", source="s3", status="killed"))
    rows = overall(scored)
    places = {
        name: (row.rank, row.rank_complete_cases, row.rank_worst_case)
        for (_, name), row in rows.items()
    }
    # b is first on what all finished; at worst its mean rank is (1 + 1 + 3) / 3, which ties with a.
    assert places == {"a": (1, 2, 1), "b": (None, 1, 1), "c": (2, 3, 3)}


def test_without_a_complete_block_there_is_no_complete_case(make, rng):
    scored = field(make, rng, {"a": 0.9, "b": 0.5})
    for source in ("s1", "s2"):
        scored.append(make(algorithm="late", source=source, status="timeout"))
    rows = overall(scored)
    # Who has no number anywhere takes nothing from the others, and is last at worst.
    assert rows["trainable", "a"].rank_complete_cases == 1
    assert rows["trainable", "late"].rank_complete_cases is None
    assert rows["trainable", "late"].rank_worst_case == 3
    scored = field(make, rng, {"a": 0.9, "b": 0.5, "c": 0.4})
    scored += field(make, rng, {"d": 0.9}, sources=("s1",))
    scored += field(make, rng, {"e": 0.9}, sources=("s2",))
    scored.append(make(algorithm="d", source="s2", status="failed"))
    scored.append(make(algorithm="e", source="s1", status="failed"))
    rows = overall(scored)
    assert {row.rank_complete_cases for row in rows.values()} == {None}
    assert rows["trainable", "a"].rank == 1


def test_a_missing_reference_is_missing_in_every_block(make, rng):
    scored = field(make, rng, {"a": 0.9, "b": 0.5}) + field(make, rng, {"a": 0.9}, **FROZEN)
    scored.append(make(source="s1", status="failed", **CHANCE))
    scored.append(make(np.full(60, 0.2), source="s2", **CHANCE))
    rows = overall(scored)
    assert rows["none", "chance"].rank is None
    assert rows["trainable", "a"].rank_complete_cases == 1
    assert rows["trainable", "b"].rank_worst_case == 2


def test_the_interval_of_the_mean_rank_covers_what_episodes_leave_open(make, rng):
    scored = field(make, rng, {"a": 0.500, "b": 0.499, "c": 0.2})
    rows = overall(scored)
    for name in "ab":
        row = rows["trainable", name]
        assert row.mean_rank_low <= row.mean_rank <= row.mean_rank_high
        assert row.mean_rank_high - row.mean_rank_low > 0.3
    assert (rows["trainable", "c"].mean_rank_low, rows["trainable", "c"].mean_rank_high) == (3, 3)


def test_twins_have_the_same_interval(make, rng):
    scores = rng.uniform(size=(3, 50))
    names = ["a", "b", *(f"x{i}" for i in range(40))]
    levels = {name: scores[0] if name in "ab" else rng.uniform(size=50) for name in names}
    rows = overall([make(level, algorithm=name) for name, level in levels.items()])
    a, b = rows["trainable", "a"], rows["trainable", "b"]
    assert replace(a, algorithm="") == replace(b, algorithm="")


def test_inapplicable_and_unavailable_cells_are_nobodys_fault(make, rng):
    scored = field(make, rng, {"a": 0.9, "b": 0.5})
    scored.append(make(algorithm="a", source="s3", status="inapplicable"))
    scored.append(make(algorithm="b", source="s4", status="unavailable"))
    scored.append(make(algorithm="never", source="s1", status="inapplicable"))
    scored.append(make(algorithm="absent", source="s1", status="unavailable"))
    rows = overall(scored)
    assert rows["trainable", "a"].coverage == rows["trainable", "b"].coverage == 1
    assert rows["trainable", "b"].rank == 2
    assert [rows["trainable", name].cells_unavailable for name in ("a", "b", "absent")] == [0, 1, 1]
    assert ("trainable", "never") not in rows
    absent = rows["trainable", "absent"]
    assert (absent.coverage, absent.cells_applicable, absent.rank) == (None, 0, None)


def test_undefined_scores_count_as_missing(make):
    rows = overall([make([np.nan, np.nan], algorithm="a"), make([0.5, 0.6], algorithm="b")])
    assert rows["trainable", "a"].coverage == 0
    assert rows["trainable", "a"].rank is None
    assert rows["trainable", "b"].rank == 1


def test_equal_scores_share_a_rank(make):
    scores = np.linspace(0, 1, 30)
    rows = overall([make(scores, algorithm=name) for name in "ab"])
    assert [(row.rank, row.mean_rank) for row in rows.values()] == [(1, 1.5), (1, 1.5)]


def test_one_algorithm_one_episode(make):
    row = overall([make([0.6])])["trainable", "protonet"]
    assert (row.rank, row.mean_rank, row.normalized) == (1, 1.0, pytest.approx(0.5))
    assert row.ci95_low is None
    assert (row.mean_rank_low, row.win_rate) == (None, None)
    assert (row.group_low, row.group_high) == (1, 1)
    assert (row.rank_complete_cases, row.rank_worst_case) == (1, 1)


def test_references_alone_are_ranked(make):
    assert overall([make([0.2, 0.2], **CHANCE)])["none", "chance"].rank == 1


def test_other_episodes_give_no_easy_first_place(make, rng):
    scored = field(make, rng, {"a": 0.9, "b": 0.5}) + field(make, rng, {"c": 0.1}, digest="other")
    rows = overall(scored)
    assert [rows["trainable", name].rank for name in "abc"] == [1, 2, None]
    assert rows["trainable", "c"].blocks_not_run == 2
    assert rows["trainable", "c"].rank_worst_case == 3
    alone = overall(field(make, rng, {"a": 0.9}) + field(make, rng, {"c": 0.1}, digest="other"))
    assert [row.rank for row in alone.values()] == [None, None]


def test_where_somebody_was_never_run_it_is_missing(make, rng):
    scored = field(make, rng, {"a": 0.9, "b": 0.5, "c": 0.4}, sources=("s1", "s2", "s3"))
    scored += field(make, rng, {"d": 0.99}, sources=("s1",))
    d = overall(scored)["trainable", "d"]
    assert (d.rank, d.mean_rank, d.normalized, d.by_domain["vision"]) == (None,) * 4
    assert (d.coverage, d.blocks_not_run, d.rank_complete_cases) == (1, 2, 1)
    # (1 + 4 + 4) / 3 against (4 + 3 + 3) / 3 of c.
    assert d.rank_worst_case == 3


def test_a_source_that_hardly_anybody_was_run_on_moves_no_rank(make, rng):
    levels = {"a": 0.9, "b": 0.5, "c": 0.4}
    scored = field(make, rng, levels)
    before = overall(scored)
    after = overall(scored + field(make, rng, {"c": 0.9}, sources=("s9",)))
    for name in levels:
        ranks = [
            (rows["trainable", name].rank, rows["trainable", name].mean_rank_high)
            for rows in (before, after)
        ]
        assert ranks[0] == ranks[1]
    assert after["trainable", "c"].blocks == 3


LEVELS = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["s", "t", "u"])),
    st.one_of(st.none(), st.lists(st.floats(0, 1), min_size=3, max_size=3)),
    min_size=1,
)


@settings(max_examples=25)
@given(LEVELS, st.randoms(use_true_random=False))
def test_overall_ignores_order_and_names(make, levels, random):
    domains = {"s": "vision", "t": "vision", "u": "nlp"}

    def numbers(algorithms, sources):
        scored = [
            make(scores, algorithm=algorithms[name], source=sources[src], domain=domains[src])
            for (name, src), scores in levels.items()
        ]
        random.shuffle(scored)
        back = {new: old for old, new in algorithms.items()}
        return {
            back[row.algorithm]: [
                -1.0 if value is None else pytest.approx(value, abs=1e-9)
                for value in row.values().values()
                if value is None or (isinstance(value, int | float) and value is not True)
            ]
            for row in build_overall(build_tables(scored))
        }

    same = {name: name for name in "abcstu"}
    plain = numbers(same, same)
    renamed = numbers({"a": "z", "b": "m", "c": "d"}, {"s": "x", "t": "k", "u": "a"})
    assert {k: [getattr(v, "expected", v) for v in vs] for k, vs in plain.items()} == renamed


@settings(max_examples=40)
@given(LEVELS, st.sampled_from([1, 2]))
def test_overall_is_finite_and_sane(make, levels, repeat):
    scored = [
        make(scores, algorithm=name, source=source) for (name, source), scores in levels.items()
    ]
    sources = {source for _, source in levels}
    rows = build_overall(build_tables(scored * repeat))
    assert rows == build_overall(build_tables(scored))
    wins = [row.win_rate for row in rows if row.win_rate is not None]
    assert all(0 <= win <= 1 for win in wins)
    complete = all(levels.get((row.algorithm, source)) for row in rows for source in sources)
    for row in rows:
        for value in row.values().values():
            assert not isinstance(value, float) or np.isfinite(value)
        assert (row.rank is None) == (row.group_low is None) == (row.mean_rank is None)
        assert row.rank is None or row.group_low <= row.group_high
        if row.mean_rank_low is not None:
            assert 1 <= row.mean_rank_low <= row.mean_rank_high <= len(rows)
        if complete:
            assert row.rank == row.rank_complete_cases == row.rank_worst_case


def test_who_does_not_apply_is_not_missing_and_gets_a_rank(make, rng):
    """A block is common if most of those that apply stand in it; the others keep their ranks."""
    levels = {"a": 0.9, "b": 0.7, "c": 0.5, "d": 0.3}
    scored = field(make, rng, levels)
    for algorithm in "ad":  # a regression source, say, that two learners cannot do
        scored.append(make(algorithm=algorithm, source="s9", status="inapplicable"))
    for algorithm in "bc":
        scored.append(
            make(levels[algorithm] + rng.normal(0, 0.01, 50), algorithm=algorithm, source="s9")
        )
    rows = {name: row for (_, name), row in overall(scored).items()}
    assert [rows[name].blocks_not_run for name in levels] == [0] * 4
    assert [rows[name].rank for name in levels] == [1, 2, 3, 4]
    sources = rows["a"].blocks
    assert rows["b"].blocks == sources + 1
    # On s9 b is the first and c the last of two: as the first and the last of four.
    assert rows["b"].mean_rank == pytest.approx((2 * sources + 1) / (sources + 1))
    assert rows["c"].mean_rank == pytest.approx((3 * sources + 4) / (sources + 1))
    for row in rows.values():
        assert row.mean_rank_low <= row.mean_rank <= row.mean_rank_high
        assert row.rank == row.rank_worst_case


def test_who_stands_alone_is_put_in_the_middle(make, rng):
    scored = field(make, rng, {"a": 0.9, "b": 0.7, "c": 0.5})
    scored.append(make(rng.uniform(size=50), algorithm="c", source="s9"))
    scored += [make(algorithm=name, source="s9", status="inapplicable") for name in "ab"]
    rows = {name: row for (_, name), row in overall(scored).items()}
    sources = rows["a"].blocks
    assert rows["c"].mean_rank == pytest.approx((3 * sources + 2) / (sources + 1))
