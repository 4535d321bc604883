"""What changed between two stores or two folders of tables, and whether by chance."""

import numpy as np
import pytest
from record_cases import classified, make_store, put
from scipy import stats

from metabench.errors import UsageError
from metabench.leaderboard.changes import compare
from metabench.leaderboard.folder import read_folder
from metabench.leaderboard.prepared import prepare
from metabench.leaderboard.publish import publish


@pytest.fixture
def stores(tmp_path, rng):
    """B has a better maml, a tim that differs by chance, and one learner more."""
    a, b = tmp_path / "a", tmp_path / "b"
    for root in (a, b):
        put(root, classified(np.random.default_rng(5), 0.5), algorithm="same")
        put(root, algorithm="broken")
    base = classified(np.random.default_rng(6), 0.6, episodes=60)
    put(a, base, algorithm="maml")
    put(b, classified(np.random.default_rng(7), 0.8, episodes=60), algorithm="maml")
    put(a, classified(np.random.default_rng(8), 0.6), algorithm="tim")
    put(b, classified(np.random.default_rng(9), 0.6), algorithm="tim")
    put(b, classified(rng, 0.6), algorithm="new")
    put(b, algorithm="gone")
    return a, b


def test_cells_are_tested_on_the_same_episodes(stores):
    comparison = compare(*stores)
    found = {change.label.split("/")[2]: change for change in comparison.changes}
    assert found["maml"].verdict == "more than chance"
    assert found["maml"].difference > 0.1
    assert found["tim"].verdict == "within chance"
    assert found["new"].verdict == "only in B"
    assert set(found) == {"maml", "tim", "new"}
    assert (comparison.same, comparison.unscored) == (2, 1)
    assert comparison.protocols == ("glyphs quick-5w1s: the same",)
    scores = [
        next(f for f in read_folder(s).found if f.record.cell.algorithm == "tim").scored().scores
        for s in stores
    ]
    p = stats.ttest_rel(*scores).pvalue
    assert p * 0.99 <= found["tim"].p_value <= min(1, 3 * p) * 1.01  # three pairs, Holm


def test_the_sign_follows_the_order(stores):
    one, other = compare(*stores), compare(*stores[::-1])
    assert [c.difference for c in one.changes[:2]] == [-c.difference for c in other.changes[:2]]


def test_a_store_is_no_different_from_itself(stores):
    comparison = compare(stores[0], stores[0])
    assert comparison.changes == ()
    assert comparison.same == 4


def test_other_protocols_and_episodes(stores, tmp_path, rng):
    put(tmp_path / "c", classified(rng, 0.5), algorithm="same", protocol={"query": 10})
    comparison = compare(stores[0], tmp_path / "c")
    assert "query: 15 or 10" in comparison.protocols[0]
    assert {change.verdict for change in comparison.changes} == {"only in A", "only in B"}
    put(tmp_path / "d", classified(rng, 0.5), algorithm="same", episodes_digest="f" * 64)
    verdicts = {c.label: c.verdict for c in compare(stores[0], tmp_path / "d").changes}
    assert verdicts["glyphs/conv4/same/quick-5w1s/seed0"] == "not comparable"


def test_tables_without_records(tmp_path, rng):
    outs = []
    for name in ("a", "b"):
        store = make_store(tmp_path / name, rng)
        put(store, classified(rng, 0.3 if name == "a" else 0.9), algorithm="moved")
        outs.append(tmp_path / f"out-{name}")
        publish(prepare(found.scored() for found in read_folder(store).found), outs[-1])
    comparison = compare(*outs)
    found = {change.label.rsplit("/", 2)[1]: change for change in comparison.changes}
    assert found["moved"].verdict == "more than chance"
    assert found["protonet"].verdict == "changed"
    assert "compare the stores" in found["protonet"].detail
    assert compare(outs[0], outs[0]).changes == ()


def test_folders_without_anything(tmp_path, stores):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no records"):
        compare(tmp_path / "empty", stores[0])
    with pytest.raises(UsageError, match="neither records nor tables"):
        compare(tmp_path / "nowhere", stores[0])
