"""Runs on fixed tasks: binary, regression, and scored in closed loop; with the toy plugin."""

import csv
import itertools
import json

import numpy as np
import pytest

LEARNERS = "chance,ridge-probe,protonet,maml"


def rows(shell, store="results"):
    with (shell.folder / store / "leaderboards" / "toy.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    return {(row["encoder"], row["algorithm"]): row for row in found}


def record_of(shell, algorithm, encoder):
    (path,) = [p for p in shell.records() if p.name.startswith(f"{algorithm}--{encoder}--")]
    return json.loads(path.read_text("utf-8")), np.load(path.with_suffix(".npz"))


@pytest.fixture(scope="module")
def sides(tmp_path_factory, toy_site):
    from run_cases import Shell

    shell = Shell(tmp_path_factory.mktemp("sides"), toy_site)
    shell(
        "run", "--sources", "sides", "--shots", "8", "--budget", "2000", "--algorithms", LEARNERS,
        "--encoders", "toy-plain,toy-bytes,toy-linear",
    )  # fmt: skip
    return shell


def test_a_binary_row_says_its_kind_and_its_limits(sides):
    found = rows(sides)
    row = found["none", "chance"]
    assert (row["task_kind"], row["way"], row["shot"], row["protocol"]) == (
        "binary", "2", "8", "quick-8s-custom",
    )  # fmt: skip
    assert float(row["mean"]) == pytest.approx(float(row["chance"]), abs=1e-6)
    assert 0.2 < float(row["chance"]) < 0.6
    assert float(row["normalized"]) == pytest.approx(0.0, abs=1e-5)
    assert row["ci_over"] == "tasks"
    assert row["episodes"] == "8"
    others = dict(pair.split("=") for pair in row["other_metrics"].split("; "))
    assert others["auroc"] == "0.5000"
    assert others["delta-auprc"] in {"0.0000", "-0.0000"}
    assert {"average-precision (part 0)", "average-precision (part 1)"} < set(others)
    assert float(found["toy-plain", "ridge-probe"]["mean"]) > float(row["mean"]) + 0.2
    assert len({row["episodes_digest"] for row in found.values() if row["status"] == "ok"}) == 1


def test_a_binary_record_keeps_margins_from_which_its_scores_follow(sides):
    from sklearn.metrics import average_precision_score, roc_auc_score

    record, arrays = record_of(sides, "ridge-probe", "toy-plain")
    ends = arrays["offsets"]
    pieces = [slice(a, b) for a, b in itertools.pairwise(ends)]
    margins, truth = arrays["predictions"], arrays["targets"]
    expected = [average_precision_score(truth[p], margins[p]) for p in pieces]
    assert arrays["scores"].tolist() == pytest.approx(expected)
    areas = [roc_auc_score(truth[p], margins[p]) for p in pieces]
    assert arrays["other.auroc"].tolist() == pytest.approx(areas)
    assert record["other_metrics"]["auroc"] == pytest.approx(np.mean(areas))
    base = np.mean([truth[p].mean() for p in pieces])
    assert record["cell"]["chance"] == pytest.approx(base)


def test_features_in_bytes_reach_the_learner_as_numbers(sides):
    row = rows(sides)["toy-bytes", "ridge-probe"]
    assert float(row["mean"]) > float(row["chance"]) + 0.1
    (cached,) = (sides.folder / "results/cache/features").glob("toy-bytes-*")
    assert cached.stat().st_size < 400 * 4 * 2 + 600


def test_a_policy_is_scored_by_where_it_leads(shell):
    shell(
        "run", "--sources", "walks", "--shots", "1,3", "--budget", "4000", "--algorithms", LEARNERS,
        "--encoders", "toy-plain,toy-linear",
    )  # fmt: skip
    found = rows(shell)
    assert float(found["toy-plain", "ridge-probe"]["mean"]) == 1.0  # the expert is linear
    assert float(found["none", "chance"]["mean"]) < 0.3
    assert found["toy-linear", "maml"]["status"] == "ok"
    assert found["toy-plain", "protonet"]["status"] == "inapplicable"
    row = found["toy-plain", "ridge-probe"]
    assert (row["metric"], row["task_kind"], row["way"]) == ("arrival", "regression", "1")
    others = dict(pair.split("=") for pair in row["other_metrics"].split("; "))
    assert float(others["nmse"]) < 0.05
    assert float(others["r2"]) > 0.95


def test_inputs_are_prepared_once_and_a_closed_loop_prepares_its_own(shell):
    mark = shell.folder / "mark"
    shell.environment["TOY_MARK"] = str(mark)
    arguments = (
        "run", "--sources", "blobs", "--shots", "1", "--episodes", "20", "--budget", "400",
        "--algorithms", "protonet,nearest-mean,maml", "--encoders", "toy-prepared",
    )  # fmt: skip
    shell(*arguments)
    assert mark.read_text() == "1200\n"
    shell(*arguments, "--seeds", "1")
    assert mark.read_text() == "1200\n"


def test_a_prediction_that_is_no_number_fails_the_cell_and_says_so(shell):
    shell(
        "run", "--sources", "walks", "--shots", "1", "--budget", "0", "--algorithms", "diverger",
        "--encoders", "toy-plain", code=1,
    )  # fmt: skip
    (path,) = shell.records()
    record = json.loads(path.read_text("utf-8"))
    assert record["failure"]["reason"] == (
        "arrival is infinite in 4 of 4 test episodes: a prediction is no finite number"
    )
