import numpy as np
import pytest

from metabench.leaderboard.overall import build_overall
from metabench.leaderboard.tables import build_tables

SOURCES = tuple(f"s{i}" for i in range(10))


def grouped(make, rng, levels, sources=SOURCES, **cell):
    scored = [
        make(np.clip(level + rng.normal(0, 0.02) + rng.normal(0, 0.05, 40), 0, 1),
             algorithm=name, source=source, **cell)
        for name, level in levels.items()
        for source in sources
    ]  # fmt: skip
    return {row.algorithm: row for row in build_overall(build_tables(scored))}


def groups(rows, *names):
    return [(rows[name].group_low, rows[name].group_high) for name in names]


def test_clear_differences_part_groups_and_small_ones_do_not(make, rng):
    rows = grouped(make, rng, {"a": 0.9, "b": 0.6, "c": 0.598, "d": 0.3})
    assert groups(rows, "a", "b", "c", "d") == [(1, 1), (2, 2), (2, 2), (3, 3)]


def test_groups_overlap_where_neighbours_tie_and_ends_do_not(make, rng):
    sources = {f"s{i}": i for i in range(12)}
    scored = []
    for name, base, wiggle in (("a", 0.60, 0), ("b", 0.55, 1), ("c", 0.50, 0)):
        for source, i in sources.items():
            level = base + wiggle * (0.08 if i % 2 else -0.09) + 0.001 * i
            scored.append(make(np.full(5, level), algorithm=name, source=source))
    rows = {row.algorithm: row for row in build_overall(build_tables(scored))}
    assert groups(rows, "a", "b", "c") == [(1, 1), (1, 2), (2, 2)]


def test_five_sources_are_too_few_for_any_difference(make, rng):
    rows = grouped(make, rng, {"a": 0.9, "b": 0.2}, sources=SOURCES[:5])
    assert groups(rows, "a", "b") == [(1, 1), (1, 1)]


def test_shots_of_one_source_are_not_more_sources(make, rng):
    rows = {}
    scored = [
        make(np.full(9, level) + rng.normal(0, 0.01, 9), algorithm=name, source=source,
             protocol=f"p{shot}", protocol_digest=f"{shot}" * 64)
        for name, level in {"a": 0.9, "b": 0.2}.items()
        for source in SOURCES[:5]
        for shot in (1, 5)
    ]  # fmt: skip
    rows = {row.algorithm: row for row in build_overall(build_tables(scored))}
    assert rows["a"].blocks == 10
    assert groups(rows, "a", "b") == [(1, 1), (1, 1)]


def test_lower_is_better_is_turned(make, rng):
    scale = {"metric": "rmse", "chance": 1.0, "best": 0.0, "task_kind": "regression"}
    rows = grouped(make, rng, {"good": 0.2, "bad": 0.7}, **scale)
    assert groups(rows, "good", "bad") == [(1, 1), (2, 2)]


def test_mean_ranks_agree_with_autorank(make, rng):
    autorank = pytest.importorskip("autorank")
    pandas = pytest.importorskip("pandas")
    levels = {"a": 0.62, "b": 0.6, "c": 0.59, "d": 0.5}
    rows = grouped(make, rng, levels)
    scored = [(name, source) for name in levels for source in SOURCES]
    rng = np.random.default_rng(0)
    means = {
        key: np.clip(levels[key[0]] + rng.normal(0, 0.02) + rng.normal(0, 0.05, 40), 0, 1).mean()
        for key in scored
    }
    frame = pandas.DataFrame({name: [means[name, source] for source in SOURCES] for name in levels})
    ranks = autorank.autorank(frame, force_mode="nonparametric").rankdf.meanrank
    for name in levels:
        assert rows[name].mean_rank == pytest.approx(ranks[name])
