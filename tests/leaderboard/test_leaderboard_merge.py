"""Records of others: nothing is overwritten, nothing is lost, and every conflict is named."""

import json
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_cases import classified, make_store, put, reseal

from metabench.errors import MetabenchError, UsageError
from metabench.leaderboard.merge import merge
from metabench.runs.store import Store


def tree(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def store(tmp_path, rng):
    return make_store(tmp_path / "mine", rng)


def test_into_an_empty_store_and_again(store, tmp_path):
    grown = tmp_path / "grown"
    merged = merge([store], grown)
    assert len(merged.added) == 7
    assert tree(grown / "records") == tree(store / "records")
    (entry,) = json.loads((grown / "merges.json").read_text())
    assert entry["origin"] == "mine"
    assert entry["added"] == merged.added
    before = tree(grown)
    merged = merge([store], grown)
    assert (merged.known, merged.added) == (7, [])
    assert tree(grown) == before


def test_provenance_says_who_ran_what_where(store, tmp_path, rng):
    put(tmp_path / "far", classified(rng, 0.5), algorithm="new", provenance={"processor": "Z80"})
    merge([tmp_path / "far"], store, origin="lab-b")
    kept = {record.cell.algorithm: record for record in Store(store).scan()}
    assert kept["new"].provenance["processor"] == "Z80"
    (entry,) = json.loads((store / "merges.json").read_text())
    assert entry["origin"] == "lab-b"
    assert "new--conv4" in entry["added"][0]


def test_two_records_of_one_cell_with_different_scores(store, tmp_path, rng):
    path = put(tmp_path / "other", classified(rng, 0.9), algorithm="maml")
    before = tree(store)
    merged = merge([tmp_path / "other"], store)
    (said,) = merged.conflicts
    assert path.name in said
    assert "glyphs/conv4/maml/quick-5w1s/seed0" in said
    assert "has mean 0.6" in said
    after = tree(store)
    assert {name: after[name] for name in before} == before
    aside = store / "aside" / "other" / f"{path.stem}.0"
    assert (aside / path.name).read_bytes() == path.read_bytes()
    assert (aside / path.name).with_suffix(".npz").exists()
    assert len(list(Store(store).scan())) == 7
    assert merge([tmp_path / "other"], store).conflicts == [said]
    assert len(list((store / "aside" / "other").iterdir())) == 1


def test_the_same_scores_elsewhere_are_a_reproduction(store, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(store, other)
    for path in (other / "records" / "intents").rglob("*.json"):
        reseal(path, lambda values: values["provenance"].update(processor="another"))
    merged = merge([other], store)
    assert len(merged.reproduced) == 3
    assert merged.known == 4
    assert merged.conflicts == merged.refused == []
    assert len(list((store / "aside" / "other").iterdir())) == 3


def test_another_version_of_the_code_stands_beside(store, tmp_path, rng):
    put(tmp_path / "other", classified(rng, 0.9), algorithm="maml", code="b" * 64)
    merged = merge([tmp_path / "other"], store)
    (said,) = merged.conflicts
    assert "both are kept, and tables use the newer" in said
    assert len(merged.added) == 1
    assert len(list(Store(store).scan())) == 8


def test_a_failure_gives_way_to_scores_and_is_kept(store, tmp_path, rng):
    path = put(tmp_path / "other", classified(rng, 0.9), algorithm="broken")
    merged = merge([tmp_path / "other"], store)
    (said,) = merged.conflicts
    assert "ended as failed" in said
    kept = {record.cell.algorithm: record.status for record in Store(store).scan()}
    assert kept["broken"] == "ok"
    (aside,) = (store / "aside" / "here").rglob("*.json")
    assert aside.name == path.name
    assert json.loads(aside.read_text())["status"] == "failed"
    # And the other way round nothing gives way.
    put(tmp_path / "third", algorithm="maml")
    (said,) = merge([tmp_path / "third"], store).conflicts
    assert "has scores, and" in said or "has mean" in said
    kept = {record.cell.algorithm: record.status for record in Store(store).scan()}
    assert kept["maml"] == "ok"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"protocol": {"query": 10}}, "query: 15 or 10"),
        ({"episodes_digest": "f" * 64}, "its test episodes are ffffffffffff"),
        ({"data": "a" * 64}, "its data of glyphs are aaaaaaaaaaaa"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_what_differs(store, tmp_path, rng, fields, said):
    path = put(tmp_path / "other", classified(rng, 0.5), algorithm="new", **fields)
    before = tree(store)
    (refused,) = merge([tmp_path / "other"], store).refused
    assert said in refused
    assert path.name in refused
    assert tree(store) == before


def test_damaged_and_forged_records_are_refused(store, tmp_path, rng):
    other = make_store(tmp_path / "other", rng, algorithms=("a", "b", "c"))
    a, b, c = (next((other / "records/glyphs").rglob(f"{name}--*.json")) for name in "abc")
    a.write_text(a.read_text()[:50])
    b.write_text(json.dumps(json.loads(b.read_text()) | {"schema_version": 9}))
    reseal(c, lambda values: values.update(mean=0.99))
    refused = merge([other], store).refused
    assert any(a.name in line and "is torn" in line for line in refused)
    assert any(b.name in line and "update metabench" in line for line in refused)
    assert any(c.name in line and "its mean is 0.99" in line for line in refused)
    assert len(refused) == 3
    assert a.exists()


def test_audits_come_along(store, tmp_path):
    (store / "audits").mkdir()
    (store / "audits" / "x.json").write_text("{}")
    merge([store], tmp_path / "grown")
    assert (tmp_path / "grown" / "audits" / "x.json").read_text() == "{}"


def test_bad_requests(store, tmp_path):
    with pytest.raises(UsageError, match="is the store itself"):
        merge([store], store)
    with pytest.raises(UsageError, match="is no folder"):
        merge([tmp_path / "nowhere"], store)
    (store / "merges.json").write_text("torn")
    (tmp_path / "new").mkdir()
    put(tmp_path / "new", algorithm="x")
    with pytest.raises(MetabenchError, match="cannot be read"):
        merge([tmp_path / "new"], store)


@settings(max_examples=10)
@given(order=st.permutations(range(3)), levels=st.lists(st.sampled_from([0.5, 0.9]), min_size=3))
def test_whatever_the_order_no_record_is_lost(tmp_path_factory, order, levels):
    import numpy as np

    root = tmp_path_factory.mktemp("merge")
    for number in range(3):
        arrays = classified(np.random.default_rng(number), levels[number])
        put(root / f"s{number}", arrays, algorithm="same")
    merge([root / f"s{number}" for number in order], root / "grown")
    kept = {path.read_bytes() for path in (root / "grown").rglob("*.npz")}
    assert kept == {path.read_bytes() for n in range(3) for path in (root / f"s{n}").rglob("*.npz")}
