"""Generated sources: what is drawn, what is disjoint, what is left out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from metabench.errors import UsageError
from metabench.tasks.files import SourceContext
from metabench_control.physics.bodies import BODIES, FACTORS, Factors
from metabench_control.sources import mujoco_dynamics as dynamics
from metabench_control.sources.mujoco_dynamics import (
    INSIDE,
    OUTPUTS,
    OUTSIDE,
    WIDTH,
    draw_factors,
    transitions,
)
from metabench_control.sources.sinusoid import sinusoid

SPLITS = ("train", "val", "test")


def waves(**options):
    return sinusoid(SourceContext("sinusoid"), **{"train": 30, "val": 5, "test": 8} | options)


def simulated(**options):
    counts = {"train": 16, "val": 4, "test": 16, "runs": 6}
    return dynamics.mujoco_dynamics(SourceContext("mujoco-dynamics"), **counts | options)


@pytest.fixture(scope="module")
def data():
    return simulated()


def test_sinusoid_is_finn_et_al():
    data = waves()
    x = data.inputs["x"].numpy()
    assert x.shape == (43 * 60, 1)
    assert np.abs(x).max() <= 5
    for split, count in zip(SPLITS, (30, 5, 8), strict=True):
        pool = data.splits[split]
        assert len(pool.tasks) == count
        for task in pool.tasks:
            amplitude, phase = task.settings
            assert 0.1 <= amplitude <= 5
            assert 0 <= phase <= np.pi
            wave = amplitude * np.sin(x[task.items, 0].astype(np.float64) - phase)
            np.testing.assert_allclose(task.targets[:, 0], wave, atol=1e-5)
    assert len({task.settings.tobytes() for p in data.splits.values() for task in p.tasks}) == 43


def test_sinusoid_fills_its_ranges():
    data = sinusoid(SourceContext("sinusoid"))
    assert [len(data.splits[split].tasks) for split in SPLITS] == [2000, 100, 300]
    amplitude, phase = np.array([task.settings for task in data.splits["train"].tasks]).T
    assert amplitude.mean() == pytest.approx(2.55, abs=0.1)
    assert phase.mean() == pytest.approx(np.pi / 2, abs=0.07)
    assert data.inputs["x"].std().item() == pytest.approx(10 / 12**0.5, rel=0.02)


@pytest.mark.parametrize("build", [waves, simulated])
def test_two_builds_give_one_digest(build):
    assert build().digest == build().digest


@pytest.mark.parametrize(
    ("build", "wrong"),
    [
        (waves, {"points": 1}),
        (waves, {"val": 0}),
        (simulated, {"test": 3}),
        (simulated, {"runs": 0}),
    ],
)
def test_numbers_that_are_too_small_are_named(build, wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(UsageError, match=f"{name}={value}"):
        build(**wrong)


def test_dynamics_layout(data):
    x = data.inputs["x"].numpy()
    assert x.dtype == np.float32
    assert x.shape[1] == WIDTH == 19
    assert np.isfinite(x).all()
    for pool in data.splits.values():
        for task in pool.tasks:
            number = int(task.settings[0])
            body = BODIES[number]
            assert task.name.endswith(body.name)
            rows = x[task.items]
            assert (rows[:, : len(BODIES)] == np.eye(4)[number]).all()
            assert (rows[:, len(BODIES) + body.features :] == 0).all()
            assert task.targets.shape == (30, OUTPUTS)
            assert (task.targets[:, 2 * body.coordinates :] == 0).all()
            assert (task.targets[:, : 2 * body.coordinates].std(0) > 0).all()
            runs, sizes = np.unique(data.groups[task.items], return_counts=True)
            assert (len(runs), set(sizes)) == (6, {5})
    assert data.notes == ()


def test_dynamics_draws_inside_and_outside(data):
    low, high = INSIDE
    outside = 0
    for split, pool in data.splits.items():
        for task in pool.tasks:
            factors = task.settings[1:]
            if task.subset == "outside":
                assert split == "test"
                assert all(any(a <= f <= b for a, b in OUTSIDE) for f in factors)
                outside += 1
            else:
                assert task.subset == "inside"
                assert ((factors >= low) & (factors <= high)).all()
    assert outside == 8
    kinds = [(int(t.settings[0]), t.subset) for t in data.splits["test"].tasks]
    assert all(kinds.count(kind) == 2 for kind in kinds)
    drawn = [task.settings.tobytes() for pool in data.splits.values() for task in pool.tasks]
    assert len(set(drawn)) == len(drawn)


def test_the_ranges_do_not_touch():
    assert OUTSIDE[0][1] < INSIDE[0] < INSIDE[1] < OUTSIDE[1][0]
    rng = np.random.default_rng(0)
    drawn = np.array([draw_factors(rng, outside=True).values() for _ in range(200)])
    assert ((drawn > INSIDE[1]) | (drawn < INSIDE[0])).all()
    assert 0.35 < (drawn > 1).mean() < 0.65


def test_columns_are_scaled_on_meta_train(data):
    train = data.splits["train"]
    x = data.inputs["x"].numpy()
    for number, body in enumerate(BODIES):
        own = [task for task in train.tasks if task.settings[0] == number]
        rows = np.concatenate([x[task.items] for task in own])[:, 4 : 4 + body.features]
        targets = np.concatenate([task.targets for task in own])[:, : 2 * body.coordinates]
        for columns in (rows, targets):
            np.testing.assert_allclose(columns.mean(0), 0, atol=1e-4)
            np.testing.assert_allclose(columns.std(0), 1, atol=1e-3)


def test_meta_test_does_not_move_the_scale(data):
    fewer = simulated(test=4)
    first = data.splits["train"].tasks[0]
    same = fewer.splits["train"].tasks[0]
    assert np.array_equal(first.targets, same.targets)
    assert torch.equal(data.inputs["x"][first.items], fewer.inputs["x"][same.items])


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.name)
def test_a_linear_model_of_enough_transitions_beats_the_mean(body):
    x, y, _, lost = transitions(body, Factors(), np.random.default_rng(0), 60, 5)
    assert lost == 0
    x = np.column_stack([x, np.ones(len(x))])
    train, test = slice(0, 200), slice(200, 300)
    weights = np.linalg.lstsq(x[train], y[train], rcond=None)[0]
    error = ((x[test] @ weights - y[test]) ** 2).mean(0) / y[test].var(0)
    assert error.mean() < 0.7


def test_a_run_ends_where_it_diverges_and_the_rest_is_counted(monkeypatch):
    wild = dataclasses.replace(BODIES[0], speed=(2000.0,))
    x, y, runs, lost = transitions(wild, Factors(), np.random.default_rng(0), 40, 5)
    assert 0 < lost < 200
    assert len(x) == len(y) == len(runs) == 200 - lost
    assert np.isfinite(x).all()
    assert np.isfinite(y).all()
    counts = np.bincount(runs, minlength=40)
    assert counts.min() == 0

    monkeypatch.setattr(dynamics, "BODIES", (wild, *BODIES[1:]))
    data = simulated()
    assert data.notes
    for note in data.notes:
        name, _, rest = note.partition(": ")
        task = next(t for p in data.splits.values() for t in p.tasks if t.name == name)
        assert rest == f"{30 - len(task.items)} transitions left out, the state diverged"


def test_a_task_all_of_whose_runs_diverge_is_left_out(monkeypatch):
    lost = dataclasses.replace(BODIES[2], low=(1e6, 1e6), high=(2e6, 2e6))
    monkeypatch.setattr(dynamics, "BODIES", (*BODIES[:2], lost, BODIES[3]))
    data = simulated()
    assert len(data.splits["train"].tasks) == 12
    assert "train-2-reacher: 30 transitions left out, the state diverged" in data.notes


def test_factors_have_the_order_of_the_settings(data):
    assert FACTORS == ("mass", "length", "friction", "damping", "gear")
    task = data.splits["train"].tasks[0]
    assert Factors(*task.settings[1:]).values() == tuple(task.settings[1:])
