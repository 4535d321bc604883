"""Published tables against records: what was edited, torn or left out is named with its place."""

import json

import numpy as np
import pytest
from record_cases import classified, make_store, put, reseal

from metabench.errors import UsageError
from metabench.leaderboard.folder import read_folder
from metabench.leaderboard.prepared import prepare
from metabench.leaderboard.publish import publish
from metabench.leaderboard.soundness import faults
from metabench.leaderboard.verify import verify
from metabench.runs.rescore import scores_from_predictions


@pytest.fixture
def published(tmp_path, rng):
    store = make_store(tmp_path / "store", rng, seeds=(0, 1))
    publish(prepare(found.scored() for found in read_folder(store).found), tmp_path / "out")
    return tmp_path / "out", store


def failures(published):
    checks = list(verify(*published, scores_from_predictions))
    assert checks
    return [str(check) for check in checks if check.outcome == "fail"]


def edit(path, old, new, line=None):
    lines = path.read_text("utf-8").splitlines(keepends=True)
    number = next(n for n, text in enumerate(lines) if old in text) if line is None else line
    assert old in lines[number]
    lines[number] = lines[number].replace(old, new, 1)
    path.write_text("".join(lines), "utf-8")


def test_what_was_built_passes_row_by_row(published):
    checks = list(verify(*published, scores_from_predictions))
    assert {check.outcome for check in checks} == {"pass"}
    rows = [check.place for check in checks if " row " in check.place]
    assert rows[:3] == ["nlp.csv row 2", "nlp.csv row 3", "nlp.csv row 4"]
    assert len(rows) == 7 + 4


def test_a_number_edited_by_hand_is_named_with_file_and_row(published):
    out, _ = published
    edit(out / "vision.csv", ",maml,accuracy,0.", ",maml,accuracy,0.9", line=2)
    said = failures(published)
    assert len(said) == 2
    assert "vision.csv: was changed" in said[0]
    assert "vision.csv row 3: glyphs/conv4/maml" in said[1]
    assert "mean is 0.9" in said[1]


def test_a_manifest_that_was_mended_does_not_hide_an_edit(published):
    from metabench.leaderboard.manifest import file_digest

    out, _ = published
    edit(out / "overall.csv", ",1,", ",2,", line=1)
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["files"]["overall.csv"]["sha256"] = file_digest(out / "overall.csv")
    (out / "manifest.json").write_text(json.dumps(manifest))
    (said,) = failures(published)
    assert "overall.csv row 2" in said
    assert "rank is 2, and the records give 1" in said


def test_the_last_digit_may_differ(published):
    from metabench.leaderboard.verify import compare_tables

    out, _ = published
    other = out.parent / "other"
    other.mkdir()
    text = (out / "vision.csv").read_text()
    (other / "vision.csv").write_text(text.replace("0.200000", "0.200001"))
    assert {c.outcome for c in compare_tables(other / "vision.csv", out / "vision.csv")} == {"pass"}
    (other / "vision.csv").write_text(text.replace("0.200000", "0.200002"))
    assert "fail" in {c.outcome for c in compare_tables(other / "vision.csv", out / "vision.csv")}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda lines: lines[:-1], "the table lacks it"),
        (lambda lines: [*lines, lines[1]], "row 6: .*stands in row 2 already"),
        (lambda lines: [*lines, lines[1].replace("tim", "new")], "no record is behind this row"),
        (lambda lines: [lines[0], *lines[:0:-1]], "not in the order"),
        (lambda lines: [line.rpartition(",")[0] + "\n" for line in lines], "lacks other_metrics"),
        (lambda lines: [*lines[:2], lines[2][:40] + "\n", *lines[3:]], "line 3: .* cells under"),
        (lambda _: ["not a table"], "row 1: columns: lacks domain"),
        (lambda _: [], "is empty"),
    ],
    ids=["row less", "row twice", "row more", "order", "column less", "cut row", "text", "empty"],
)
def test_a_table_with_rows_changed(published, spoil, said):
    import re

    path = published[0] / "vision.csv"
    path.write_text("".join(spoil(path.read_text().splitlines(keepends=True))))
    assert any(re.search(f"vision.csv.*{said}", line) for line in failures(published))


def test_files_that_came_or_went(published):
    out, _ = published
    (out / "nlp.md").unlink()
    (out / "speech.csv").write_text((out / "nlp.csv").read_text())
    said = failures(published)
    assert any("nlp.md: is missing; the manifest names it" in line for line in said)
    assert any("speech.csv: is not in the manifest" in line for line in said)
    assert any("speech.csv: no record is behind this table" in line for line in said)
    (out / "manifest.json").unlink()
    assert any("cannot read" in line and "manifest.json" in line for line in failures(published))


def test_a_manifest_cannot_reach_outside(published):
    out, _ = published
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["files"]["../store/merges.json"] = {"sha256": "0", "bytes": 0}
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert any("lies outside the folder" in line for line in failures(published))


def test_records_that_are_torn_changed_or_new(published, rng):
    _, store = published
    torn = next((store / "records/glyphs").rglob("tim*seed0*.json"))
    torn.write_text(torn.read_text()[:100])
    said = failures(published)
    assert any(f"{torn.name}: is torn" in line for line in said)
    assert any("records_digest" in line and "not the same ones" in line for line in said)
    assert torn.exists()
    put(store, classified(rng, 0.5), algorithm="late")
    assert any("late" in line and "the table lacks it" in line for line in failures(published))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v.update(mean=0.99), "its mean is 0.99"),
        (lambda v: v.update(episodes=31), "it counts 31 episodes"),
        (lambda v: v["provenance"]["protocol"].update(query=16), "do not have the digest"),
        (lambda v: v["provenance"].pop("protocol"), "does not hold its protocol"),
        (lambda v: v["key_parts"].update(seed=5), "not the digest of its key parts"),
        (lambda v: v.update(episodes_digest=""), "no digest of its episodes"),
        (lambda v: v["cell"].update(metric="auroc"), "of the metric 'accuracy'"),
    ],
)
def test_a_forger_who_can_compute_a_checksum(published, change, said):
    path = next((published[1] / "records/glyphs").rglob("maml*seed0*.json"))
    reseal(path, change)
    assert any(path.name in line and said in line for line in failures(published))


def test_scores_follow_from_predictions(tmp_path, rng):
    arrays = classified(rng, 0.5)
    better = arrays | {"scores": arrays["scores"] + 0.2}
    put(tmp_path, better)
    (found,) = read_folder(tmp_path).found
    (said,) = faults(found.record, found.arrays(), scores_from_predictions)
    assert "30 of its 30 scores do not follow from its predictions" in said
    assert faults(found.record, found.arrays()) == []
    lie = arrays | {"predictions": (arrays["predictions"] + 1) % 5}
    (said,) = faults(found.record, lie, scores_from_predictions)[-1:]
    assert "credit does not follow" in said


@pytest.mark.parametrize("metric", ["auroc", "average-precision", "delta-auprc", "accuracy"])
def test_binary_scores_from_margins_agree_with_scikit_learn(rng, metric):
    from record_cases import record_of
    from sklearn import metrics

    offsets = np.array([0, 12, 30, 42])
    targets = rng.integers(0, 2, 42)
    margins = rng.normal(size=42).astype(np.float32)
    margins[::5] = 0.5
    arrays = {"scores": np.zeros(3), "predictions": margins, "targets": targets, "offsets": offsets}
    record = record_of(task_kind="binary", metric=metric)
    found = scores_from_predictions(record, arrays)["scores"]
    for episode in range(3):
        part = slice(offsets[episode], offsets[episode + 1])
        y, margin = targets[part], margins[part]
        expected = {
            "auroc": metrics.roc_auc_score,
            "average-precision": metrics.average_precision_score,
            "delta-auprc": lambda y, m: metrics.average_precision_score(y, m) - y.mean(),
            "accuracy": lambda y, m: np.mean((m > 0) == y),
        }[metric](y, margin)
        assert found[episode] == pytest.approx(expected)


def test_regression_scores_agree_with_scikit_learn(rng):
    from record_cases import record_of
    from sklearn.metrics import mean_squared_error, r2_score

    targets = rng.normal(size=(40, 2))
    predictions = (targets + rng.normal(0, 0.3, (40, 2))).astype(np.float32)
    arrays = {
        "scores": np.zeros(2), "other.mse": np.zeros(2), "other.nmse": np.zeros(2),
        "predictions": predictions, "targets": targets, "offsets": np.array([0, 20, 40]),
    }  # fmt: skip
    found = scores_from_predictions(record_of(task_kind="regression", metric="r2"), arrays)
    assert set(found) == {"scores", "other.mse"}  # nmse needs the support
    for episode, part in enumerate((slice(20), slice(20, 40))):
        r2, mse = (m(targets[part], predictions[part]) for m in (r2_score, mean_squared_error))
        assert found["scores"][episode] == pytest.approx(r2)
        assert found["other.mse"][episode] == pytest.approx(mse)


def test_mixed_digests_are_told_and_ranked_apart(tmp_path, rng):
    store = make_store(tmp_path / "store", rng)
    put(store, classified(rng, 0.9), algorithm="other", protocol={"query": 10})
    publish(prepare(found.scored() for found in read_folder(store).found), tmp_path / "out")
    checks = list(verify(tmp_path / "out", store))
    told, where = [check for check in checks if check.outcome == "unchecked"]
    assert "2 protocol digests" in told.detail
    assert "query: " in told.detail
    assert where.place == "vision.csv"
    assert " in row 2" in where.detail
    assert not [check for check in checks if check.outcome == "fail"]
    # The same rows as one ranking: whoever joins them by hand is found out.
    path = tmp_path / "out" / "vision.csv"
    digests = {line.split(",")[27] for line in path.read_text().splitlines()[1:]}
    one, other = sorted(digests)
    path.write_text(path.read_text().replace(one, other))
    said = failures((tmp_path / "out", store))
    assert any("no record is behind this row" in line for line in said)


def test_folders_that_are_none(tmp_path, published):
    with pytest.raises(UsageError, match="is no folder"):
        list(verify(tmp_path / "nowhere", published[1]))
    with pytest.raises(UsageError, match="is no folder; name a store"):
        list(verify(published[0], tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no records"):
        list(verify(published[0], tmp_path / "empty"))
