from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metabench.leaderboard.overall import build_overall, overall_columns
from metabench.leaderboard.tables import build_tables

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
    columns = overall_columns(("nlp", "vision"))
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
        now, before = rows["trainable", name], full["trainable", name]
        assert replace(now, by_domain={}) == replace(before, by_domain={})


def test_inapplicable_and_unavailable_cells_are_nobodys_fault(make, rng):
    scored = field(make, rng, {"a": 0.9, "b": 0.5})
    scored.append(make(algorithm="a", source="s3", status="inapplicable"))
    scored.append(make(algorithm="b", source="s4", status="unavailable"))
    scored.append(make(algorithm="never", source="s1", status="inapplicable"))
    scored.append(make(algorithm="absent", source="s1", status="unavailable"))
    rows = overall(scored)
    assert rows["trainable", "a"].coverage == rows["trainable", "b"].coverage == 1
    assert rows["trainable", "b"].rank == 2
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


def test_references_alone_are_ranked(make):
    assert overall([make([0.2, 0.2], **CHANCE)])["none", "chance"].rank == 1


def test_different_episodes_are_different_blocks(make, rng):
    scored = field(make, rng, {"a": 0.9}) + field(make, rng, {"b": 0.1}, digest="other")
    rows = overall(scored)
    assert rows["trainable", "b"].mean_rank == 1.0


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
                for value in (row.rank, row.mean_rank, row.normalized, row.ci95_low, row.ci95_high)
            ]
            for row in build_overall(build_tables(scored))
        }

    same = {name: name for name in "abcstu"}
    plain = numbers(same, same)
    renamed = numbers({"a": "z", "b": "m", "c": "d"}, {"s": "x", "t": "k", "u": "a"})
    assert {k: [getattr(v, "expected", v) for v in vs] for k, vs in plain.items()} == renamed
