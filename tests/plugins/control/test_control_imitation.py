"""Demonstrations, the expert's ceiling, and the metric that closes the loop."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from metabench.errors import UsageError
from metabench.learners.metrics import Answered
from metabench.tasks.files import SourceContext
from metabench.tasks.sampler import EpisodeSampler
from metabench.tasks.sampling import Sampling
from metabench_control.metrics import TRIALS, expert_success, reacher_success
from metabench_control.physics import reaching
from metabench_control.physics.arm import fingertip
from metabench_control.physics.reaching import (
    FAR,
    SETTINGS,
    STEPS,
    Trials,
    draw_task,
    expert,
    observe,
    run_trials,
    start_angles,
)
from metabench_control.sources.reacher_imitation import reacher_imitation


def tasks(count, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([draw_task(rng) for _ in range(count)])


def answered(settings, predict):
    empty = torch.zeros(len(settings), 1, 2)
    told = None if settings is None else torch.from_numpy(settings)
    return Answered(
        scores=empty, targets=empty, support_targets=empty, settings=told, predict=predict
    )


def small(**options):
    counts = {"train": 6, "val": 2, "test": 3, "demonstrations": 4} | options
    return reacher_imitation(SourceContext("reacher-imitation"), **counts)


@pytest.fixture(scope="module")
def data():
    return small()


def test_the_expert_succeeds_on_the_test_tasks():
    rows = []
    full = reacher_imitation(SourceContext("r"), train=1, val=1, demonstrations=2)
    rows = np.stack([task.settings for task in full.splits["test"].tasks])
    assert len(rows) == 40
    rates = expert_success(rows)
    assert rates.mean() > 0.95
    assert rates.min() >= 0.8


def test_the_metric_gives_the_expert_its_ceiling():
    settings = tasks(4)
    act = expert(settings)
    ask = lambda inputs: torch.from_numpy(act(inputs["x"].double().numpy()))  # noqa: E731
    ours = reacher_success(answered(settings, ask))
    assert ours.dtype == torch.float64
    assert ours.tolist() == expert_success(settings).tolist()


@pytest.mark.parametrize("kind", ["nothing", "random", "nan", "huge"])
def test_an_uninformed_policy_fails(kind):
    generator = torch.Generator().manual_seed(0)

    def predict(inputs):
        shape = (*inputs["x"].shape[:2], 2)
        if kind == "random":
            return torch.rand(shape, generator=generator) * 2 - 1
        return torch.full(shape, {"nothing": 0.0, "nan": torch.nan, "huge": 1e30}[kind])

    rates = reacher_success(answered(tasks(5), predict))
    assert rates.mean() <= 0.02


def test_one_broken_task_fails_alone():
    settings = tasks(3)
    act = expert(settings)

    def predict(inputs):
        actions = torch.from_numpy(act(inputs["x"].double().numpy()))
        assert inputs["x"].isfinite().all()
        actions[1] = torch.nan
        return actions

    rates = reacher_success(answered(settings, predict))
    assert rates[1] == 0
    assert rates[[0, 2]].tolist() == expert_success(settings[[0, 2]]).tolist()


def test_a_task_scores_the_same_in_any_batch():
    settings = tasks(4)
    together = expert_success(settings)
    np.random.seed(7)  # noqa: NPY002 - global state must not matter
    alone = [expert_success(row[None])[0] for row in settings[::-1]]
    assert together.tolist() == alone[::-1]


def test_the_predictor_is_asked_once_per_step_in_the_sources_format():
    asked = []

    def predict(inputs):
        asked.append({name: (tuple(t.shape), t.dtype) for name, t in inputs.items()})
        return torch.zeros(2, TRIALS, 2)

    reacher_success(answered(tasks(2), predict))
    assert asked == [{"x": ((2, TRIALS, 8), torch.float32)}] * STEPS


def test_tasks_without_settings_and_predictions_that_are_no_actions_are_named():
    with pytest.raises(ValueError, match="goal x"):
        reacher_success(dataclasses.replace(answered(tasks(1), None), settings=None))
    with pytest.raises(ValueError, match="goal x"):
        reacher_success(answered(tasks(1)[:, :4], None))
    with pytest.raises(ValueError, match=r"actions of shape \(1, 10, 3\)"):
        reacher_success(answered(tasks(1), lambda _: torch.zeros(1, TRIALS, 3)))


def test_success_is_the_mean_of_the_last_steps():
    distances = np.full((1, 3, STEPS), 1.0)
    distances[0, 0, -reaching.LAST :] = reaching.RADIUS * 0.9
    distances[0, 1, -1] = 0.0
    distances[0, 2] = 0.0
    distances[0, 2, -1] = np.nan
    trials = Trials(np.empty(0), np.empty(0), distances)
    assert trials.success.tolist() == [[True, False, False]]


def test_trials_start_far_from_the_goal_and_not_where_demonstrations_do():
    for row in tasks(20):
        trial, demonstration = (start_angles(row, 12, p) for p in ("trial", "demonstration"))
        assert not np.isin(trial, demonstration).any()
        for starts in (trial, demonstration):
            tip = fingertip(row[2:4], starts)
            assert (np.linalg.norm(tip - row[:2], axis=-1) >= FAR).all()
        assert np.array_equal(start_angles(row, 5, "trial"), trial[:5])


def test_tasks_are_within_reach_and_differ():
    settings = tasks(200)
    assert settings.shape[1] == len(SETTINGS)
    distance = np.linalg.norm(settings[:, :2], axis=1)
    assert (distance < settings[:, 2:4].sum(1)).all()
    assert (settings.std(0) > 0).all()


def test_the_layout_is_that_of_demonstrations(data):
    assert {name: (t.shape[1], t.dtype) for name, t in data.inputs.items()} == {
        "x": (8, torch.float32)
    }
    for pool in data.splits.values():
        for task in pool.tasks:
            assert task.targets.shape == (4 * STEPS, 2)
            assert np.abs(task.targets).max() <= 1
            assert np.unique(data.groups[task.items], return_counts=True)[1].tolist() == [STEPS] * 4
            assert task.settings.shape == (len(SETTINGS),)
    assert len(np.unique(data.groups)) == 11 * 4
    settings = [task.settings.tobytes() for pool in data.splits.values() for task in pool.tasks]
    assert len(set(settings)) == len(settings)


def test_targets_are_the_experts_actions_and_inputs_what_is_observed(data):
    task = data.splits["test"].tasks[1]
    x = data.inputs["x"].numpy()[task.items].astype(np.float64)
    acted = expert(task.settings[None])(x[None])[0]
    # where the wrapped error or a limit jumps, a rounded observation may fall on the other side
    assert np.mean(np.abs(acted - task.targets).max(1) < 1e-4) > 0.97
    angles = np.arctan2(x[:, :2], x[:, 2:4])
    again = observe(task.settings[None], angles[None], x[None, :, 4:6] * reaching.SPEED_UNIT)
    np.testing.assert_allclose(again[0], x, atol=1e-5)


def test_two_builds_give_one_digest(data):
    assert small().digest == data.digest
    assert small(noise=0.1).digest != data.digest


def test_a_task_does_not_depend_on_how_many_there_are(data):
    more = small(train=3, test=5)
    for ours, theirs in zip(data.splits["test"].tasks, more.splits["test"].tasks, strict=False):
        assert np.array_equal(ours.settings, theirs.settings)
        assert np.array_equal(ours.targets, theirs.targets)


def test_a_shot_is_a_demonstration(data):
    sampling = Sampling(shot=2, query=20, support="groups", draws=2, group_disjoint=True)
    sampler = EpisodeSampler(
        data.splits["test"],
        sampling,
        source_digest=data.digest,
        split="test",
        seed=0,
        groups=data.groups,
    )
    for batch in sampler.batches(0, sampler.test_episodes(0), 2):
        assert batch.support.shape[1] == 2 * STEPS
        for support, query in zip(batch.support, batch.query, strict=True):
            ours, theirs = set(data.groups[support]), set(data.groups[query])
            assert len(ours) == 2
            assert not ours & theirs


def test_a_diverged_demonstration_is_left_out_and_named(monkeypatch):
    def diverging(settings, starts, policy, **options):
        trials = run_trials(settings, starts, policy, **options)
        trials.distances[7, 1, 20:] = np.nan
        return trials

    monkeypatch.setattr("metabench_control.sources.reacher_imitation.run_trials", diverging)
    data = small()
    assert data.notes == ("val-1: 1 demonstrations left out, the state diverged",)
    task = data.splits["val"].tasks[1]
    assert len(task.items) == 3 * STEPS
    assert len(np.unique(data.groups[task.items])) == 3


@pytest.mark.parametrize("wrong", [{"test": 0}, {"demonstrations": 1}])
def test_numbers_that_are_too_small_are_named(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(UsageError, match=f"{name}={value}"):
        small(**wrong)
