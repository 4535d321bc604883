"""Training in stages, and learners on maps, through the whole program."""

import json

import pytest

RUN = ("run", "--sources", "blobs", "--episodes", "40", "--budget", "800")


def records(shell, store="results"):
    found = [json.loads(path.read_text("utf-8")) for path in shell.records(store)]
    return {(r["cell"]["algorithm"], r["cell"]["encoder"], r["cell"]["shot"]): r for r in found}


@pytest.fixture(scope="module")
def staged(tmp_path_factory, toy_site):
    from run_cases import Shell

    shell = Shell(tmp_path_factory.mktemp("staged"), toy_site)
    shell(*RUN, "--shots", "1,5", "--algorithms", "staged-mean,simpleshot",
          "--encoders", "toy-linear,toy-plain", "--jobs", "2")  # fmt: skip
    return shell


def test_the_first_stage_is_shared_and_the_budget_is_one(staged):
    weights = list((staged.folder / "results" / "cache" / "weights").glob("*.safetensors"))
    # simpleshot's at the whole budget, half of it for both shots, and a second half for each shot;
    # and the learned scale on the frozen encoder for each shot
    assert len(weights) == 1 + 1 + 2 + 2
    assert not list((staged.folder / "results" / "cache" / "weights").glob("*.partial*"))
    for record in records(staged).values():
        assert record["status"] == "ok"
    training = records(staged)["staged-mean", "toy-linear", "1"]["training"]
    assert 700 < training["examples"] <= 800
    seen = [point[0] for point in training["curve"]]
    assert seen == sorted(seen)
    assert training["setup"]["recipe"] == "episodic"
    assert training["setup"]["before"]["recipe"] == "supervised"


def test_a_frozen_encoder_leaves_the_whole_budget_to_the_last_stage(staged):
    training = records(staged)["staged-mean", "toy-plain", "1"]["training"]
    assert 700 < training["examples"] <= 800
    assert training["setup"]["recipe"] == "episodic"
    assert "before" not in training["setup"]


def test_one_worker_and_two_agree(staged):
    staged(*RUN, "--shots", "1,5", "--algorithms", "staged-mean,simpleshot",
           "--encoders", "toy-linear,toy-plain", "--jobs", "1", "--store", "single")  # fmt: skip
    assert {name: r["mean"] for name, r in records(staged).items()} == {
        name: r["mean"] for name, r in records(staged, "single").items()
    }


def test_maps_reach_the_learners_that_take_them(shell):
    out, _ = shell(*RUN, "--shots", "5", "--algorithms", "map-mean,either-mean",
                   "--encoders", "toy-map,toy-linear")  # fmt: skip
    found = records(shell)
    assert found["map-mean", "toy-map", "5"]["mean"] > 0.5
    assert found["either-mean", "toy-map", "5"]["mean"] > 0.5
    assert found["either-mean", "toy-linear", "5"]["mean"] > 0.5
    assert found["map-mean", "toy-linear", "5"]["status"] == "inapplicable"
    assert "toy-linear gives none" in " ".join(out.split())
