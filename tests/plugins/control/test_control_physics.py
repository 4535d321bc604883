"""The simulated bodies against closed forms."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metabench_control.physics.arm import Arm, fingertip, inertia, reaching
from metabench_control.physics.bodies import BODIES, Factors
from metabench_control.physics.simulator import Simulator, quiet

GRAVITY = 9.81
FREE = Factors(friction=0.0, damping=0.0)
PENDULUM, CART_POLE, REACHER, HOPPER = BODIES


def swing(simulator, angle, steps):
    position, velocity = np.array([angle]), np.zeros(1)
    angles = [angle]
    for _ in range(steps):
        position, velocity = simulator.step(position, velocity, np.zeros(1))
        angles.append(position[0])
    return np.array(angles)


@pytest.mark.parametrize("length", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("mass", [0.5, 2.0])
def test_small_swings_have_the_period_of_a_pendulum(length, mass):
    factors = dataclasses.replace(FREE, length=length, mass=mass)
    simulator = PENDULUM.simulator(factors)
    angles = swing(simulator, 0.02, 1000)
    falls = np.flatnonzero((angles[:-1] > 0) & (angles[1:] <= 0))
    crossings = falls + angles[falls] / (angles[falls] - angles[falls + 1])
    period = np.diff(crossings).mean() * simulator.seconds
    assert period == pytest.approx(2 * np.pi * np.sqrt(0.5 * length / GRAVITY), rel=2e-3)


@pytest.mark.parametrize("damping", [0.5, 1.0, 2.0])
def test_damping_takes_the_share_that_it_should(damping):
    # small swings decay as exp(-c t / 2 m l²), c = 0.1 N m s/rad times the factor
    simulator = PENDULUM.simulator(Factors(damping=damping, friction=0.0))
    swings = np.abs(swing(simulator, 0.02, 100))
    late = 80 + int(swings[80:].argmax())
    decay = np.exp(-0.1 * damping / (2 * 0.25) * simulator.seconds * late)
    assert swings[late] / swings[0] == pytest.approx(decay, rel=0.05)


@pytest.mark.parametrize("body", [PENDULUM, CART_POLE, REACHER], ids=lambda body: body.name)
def test_energy_is_kept_without_friction_and_lost_with_it(body):
    def energies(factors):
        model = mujoco.MjModel.from_xml_string(body.xml(factors))
        model.opt.integrator = mujoco.mjtIntegrator.mjINT_RK4
        model.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_ENERGY
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = np.array(body.high) * 0.4, np.array(body.speed) * 0.5
        found = []
        for _ in range(500):
            mujoco.mj_step(model, data)
            found.append(data.energy.sum())
        return np.array(found)

    free, damped = energies(FREE), energies(Factors())
    assert np.ptp(free) < 1e-4 * max(abs(free[0]), 0.1)
    assert damped[-1] < damped[0] - 1e-3


def test_a_lifted_hopper_falls_and_then_lies_on_the_floor():
    simulator = HOPPER.simulator(Factors())
    position, velocity = np.array([0.0, 2.0, 0.0, 0.0, 0.0, 0.0]), np.zeros(6)
    for _ in range(5):
        position, velocity = simulator.step(position, velocity, np.zeros(3))
    time = 5 * simulator.seconds
    assert velocity[1] == pytest.approx(-GRAVITY * time, rel=1e-3)
    assert position[1] - 2.0 == pytest.approx(-GRAVITY * time**2 / 2, rel=0.05)
    for _ in range(200):
        position, velocity = simulator.step(position, velocity, np.zeros(3))
    hip = position[1] + 0.4 + 0.45 + 0.05
    assert 0.0 < hip < 0.95
    assert np.abs(velocity).max() < 0.5


def test_friction_of_the_floor_slows_a_sliding_hopper():
    def slid(friction):
        simulator = HOPPER.simulator(Factors(friction=friction))
        position = np.array([0.0, -0.02, 0.0, 0.0, 0.0, 0.0])
        velocity = np.array([1.5, 0.0, 0.0, 0.0, 0.0, 0.0])
        for _ in range(8):
            position, velocity = simulator.step(position, velocity, np.zeros(3))
        mujoco.mj_forward(simulator.model, simulator._data)
        mujoco.mj_subtreeVel(simulator.model, simulator._data)
        return simulator._data.subtree_linvel[0, 0]  # of the centre of mass; the hip tips over

    assert slid(0.1) > slid(1.0)


@given(
    lengths=st.tuples(*[st.floats(0.1, 0.4)] * 2),
    angles=st.tuples(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0)),
)
@settings(max_examples=40)
def test_fingertip_is_where_mujoco_puts_it(lengths, angles):
    simulator = Simulator(Arm(lengths=lengths).xml(), 1)
    expected = simulator.site("fingertip", np.array(angles))
    np.testing.assert_allclose(fingertip(np.array(lengths), np.array(angles)), expected[:2])
    assert expected[2] == 0.0


@given(
    lengths=st.tuples(*[st.floats(0.1, 0.4)] * 2),
    shoulder=st.floats(-3.0, 3.0),
    elbow=st.floats(0.05, 3.0),
)
@settings(max_examples=200)
def test_inverse_kinematics_undoes_forward_kinematics(lengths, shoulder, elbow):
    lengths = np.array(lengths)
    goal = fingertip(lengths, np.array([shoulder, elbow]))
    found = reaching(lengths, goal)
    np.testing.assert_allclose(fingertip(lengths, found), goal, atol=1e-7)
    assert found[1] == pytest.approx(elbow, abs=1e-4)


@pytest.mark.parametrize("elbow", [-2.0, 0.0, 0.7, 3.0])
def test_inertia_is_the_one_that_mujoco_computes(elbow):
    arm = Arm(lengths=(0.17, 0.23), masses=(0.4, 0.25))
    model = mujoco.MjModel.from_xml_string(arm.xml())
    data = mujoco.MjData(model)
    data.qpos[:] = (0.3, elbow)
    mujoco.mj_forward(model, data)
    unit = np.eye(2)
    expected = np.zeros((2, 2))
    for column in range(2):
        torque = np.zeros(2)
        mujoco.mj_mulM(model, data, torque, unit[column])
        expected[:, column] = torque
    ours = inertia(np.array(arm.lengths), np.array(arm.masses), np.array(elbow))
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.name)
def test_a_transition_depends_on_state_and_control_alone(body):
    rng = np.random.default_rng(0)
    simulator = body.simulator(Factors())
    state = [rng.uniform(body.low, body.high), rng.uniform(-1, 1, body.coordinates)]
    control = rng.uniform(-1, 1, body.controls)
    first = simulator.step(*state, control)
    for _ in range(3):
        simulator.step(rng.uniform(body.low, body.high), state[1], -control)
    again = simulator.step(*state, control)
    fresh = body.simulator(Factors()).step(*state, control)
    for a, b, c in zip(first, again, fresh, strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)


@pytest.mark.parametrize("factor", ["mass", "length", "friction", "damping", "gear"])
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.name)
def test_every_factor_changes_what_happens(body, factor):
    def after(factors):
        simulator = body.simulator(factors)
        rng = np.random.default_rng(3)
        position, velocity = rng.uniform(body.low, body.high), np.array(body.speed) * 0.5
        if body is HOPPER:
            position[1] = -0.05
        for _ in range(5):
            position, velocity = simulator.step(position, velocity, np.full(body.controls, 0.5))
        return np.concatenate([position, velocity])

    change = np.abs(after(Factors()) - after(Factors(**{factor: 1.5}))).max()
    assert 1e-4 < change < 100


@pytest.mark.parametrize(
    ("position", "velocity", "control"),
    [(np.nan, 0.0, 0.0), (0.0, np.inf, 0.0), (0.0, 2e3, 0.0), (0.0, 0.0, np.nan)],
)
def test_a_diverged_state_stays_undefined(position, velocity, control):
    simulator = PENDULUM.simulator(Factors())
    found = simulator.step(np.array([position]), np.array([velocity]), np.array([control]))
    assert np.isnan(found).all()
    assert np.isfinite(simulator.step(np.zeros(1), np.ones(1), np.zeros(1))).all()


def test_controls_are_limited():
    simulator = PENDULUM.simulator(Factors())
    one, many = (simulator.step(np.zeros(1), np.zeros(1), np.array([c])) for c in (1.0, 50.0))
    assert np.array_equal(one, many)


def test_divergence_prints_nothing_and_leaves_no_log(tmp_path):
    code = (
        "import numpy as np\n"
        "from metabench_control.physics.bodies import BODIES, Factors\n"
        "from metabench_control.physics.simulator import quiet\n"
        "simulator = BODIES[0].simulator(Factors(gear=1e18))\n"
        "with quiet():\n"
        "    found = simulator.step(np.zeros(1), np.zeros(1), np.ones(1))\n"
        "assert np.isnan(found).all()\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stderr == run.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_quiet_puts_the_handler_back():
    before = mujoco.get_mju_user_warning()
    with quiet():
        assert mujoco.get_mju_user_warning() is not before
    assert mujoco.get_mju_user_warning() is before
