"""Reaching in closed loop: tasks, a scripted expert, and what counts as success.

A task is a goal of the fingertip and the arm's own dynamics, written as a row of `SETTINGS`. A
policy sees the arm but neither goal nor dynamics; `STEPS` control steps of 50 ms are simulated. A
trial succeeds if the fingertip's mean distance from the goal over the last `LAST` steps is below
`RADIUS`; a state that diverges, or an action that is no finite number, fails.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from metabench_control.physics.arm import SUBSTEPS, Arm, fingertip, inertia, reaching
from metabench_control.physics.simulator import Simulator, quiet

Floats = npt.NDArray[np.float64]
Policy = Callable[[Floats], Floats]

SETTINGS = (
    "goal x", "goal y", "length 1", "length 2", "mass 1", "mass 2",
    "damping", "friction", "gear 1", "gear 2",
)  # fmt: skip
"""A task's numbers, in the units of `metabench_control.physics.arm.Arm`."""
OBSERVED = 8
ACTIONS = 2
STEPS = 30
LAST = 5
RADIUS = 0.03
"""In m; the arms reach 0.3 to 0.5 m."""
FAR = 0.1
"""In m; how far from the goal every trial begins."""
SPEED_UNIT = 5.0
LENGTH_UNIT = 0.2
_STIFFNESS = 7.0


@dataclass(frozen=True)
class Trials:
    """What happened.

    Attributes:
        observations: ``[B, R, steps, 8]`` as the policy saw them.
        actions: ``[B, R, steps, 2]`` as the policy chose them.
        distances: ``[B, R, steps]`` of the fingertip from the goal after each step, in m; NaN once
            the state has diverged.
    """

    observations: Floats
    actions: Floats
    distances: Floats

    @property
    def success(self) -> npt.NDArray[np.bool_]:
        """``[B, R]`` whether the fingertip came to rest at the goal."""
        success: npt.NDArray[np.bool_] = self.distances[..., -LAST:].mean(-1) < RADIUS
        return success


def draw_task(rng: np.random.Generator) -> Floats:
    """Draw the `SETTINGS` of a task; the goal is within reach."""
    lengths = rng.uniform(0.15, 0.25, 2)
    masses = rng.uniform(0.2, 0.45, 2)
    damping, friction = _log_uniform(rng, (0.03, 0.002), (0.09, 0.008))
    gears = _log_uniform(rng, (0.7, 0.35), (1.4, 0.7))
    goal = fingertip(lengths, np.array([rng.uniform(-np.pi, np.pi), rng.uniform(0.5, 2.4)]))
    return np.concatenate([goal, lengths, masses, [damping, friction], gears])


def arm_of(settings: Floats) -> Arm:
    """Return the arm of one row of settings."""
    _, _, first, second, m1, m2, damping, friction, g1, g2 = settings.tolist()
    return Arm((first, second), (m1, m2), damping, friction, (g1, g2))


def start_angles(
    settings: Floats, count: int, purpose: Literal["demonstration", "trial"]
) -> Floats:
    """Draw where an arm starts, at rest; the same for the same task and purpose.

    Args:
        settings: ``[10]`` one task.
        count: How many starts.
        purpose: Demonstrations and trials start from different angles.

    Returns:
        ``[count, 2]`` rad: any shoulder, the elbow bent to the left, and the fingertip at least
        `FAR` from the goal, so that nobody succeeds by standing still.
    """
    rng = _generator(settings, purpose)
    found = np.empty((0, 2))
    while len(found) < count:
        angles = rng.uniform((-np.pi, 0.3), (np.pi, 2.6), (count, 2))
        away = np.linalg.norm(fingertip(settings[2:4], angles) - settings[:2], axis=-1)
        found = np.concatenate([found, angles[away >= FAR]])
    return found[:count]


def observe(settings: Floats, angles: Floats, velocities: Floats) -> Floats:
    """Return what a policy sees.

    Args:
        settings: ``[B, 10]``.
        angles: ``[B, R, 2]`` rad.
        velocities: ``[B, R, 2]`` rad/s.

    Returns:
        ``[B, R, 8]``: sines, cosines, velocities in `SPEED_UNIT`, fingertip in `LENGTH_UNIT`.
    """
    tip = fingertip(settings[:, None, 2:4], angles)
    parts = [np.sin(angles), np.cos(angles), velocities / SPEED_UNIT, tip / LENGTH_UNIT]
    return np.concatenate(parts, axis=-1)


def expert(settings: Floats) -> Policy:
    """Build the scripted expert, who knows the tasks.

    Computed torque (Spong, Hutchinson & Vidyasagar, 2006) without the velocity
    products: inverse kinematics gives the joint angles of the goal, a critically damped spring the
    accelerations towards them, and the inertia the torques, limited to what the motors have.

    Args:
        settings: ``[B, 10]``.

    Returns:
        A policy on observations of these tasks.
    """
    lengths, masses = settings[:, None, 2:4], settings[:, None, 4:6]
    damping, gears = settings[:, None, 6:7], settings[:, None, 8:10]
    target = reaching(settings[:, 2:4], settings[:, :2])[:, None]

    def act(observation: Floats) -> Floats:
        angles = np.arctan2(observation[..., :2], observation[..., 2:4])
        velocities = observation[..., 4:6] * SPEED_UNIT
        error = np.mod(target - angles + np.pi, 2 * np.pi) - np.pi
        wanted = _STIFFNESS**2 * error - 2 * _STIFFNESS * velocities
        moments = inertia(lengths, masses, angles[..., 1])
        torque = (moments @ wanted[..., None])[..., 0] + damping * velocities
        return np.clip(torque / gears, -1.0, 1.0)

    return act


def run_trials(
    settings: Floats, starts: Floats, policy: Policy, *, noise: Floats | None = None
) -> Trials:
    """Simulate a policy on all tasks and starts, step by step.

    Args:
        settings: ``[B, 10]``.
        starts: ``[B, R, 2]`` rad.
        policy: Observations ``[B, R, 8]`` to actions ``[B, R, 2]``, once per control step.
        noise: ``[B, R, STEPS, 2]`` added to the actions that are carried out, not to those noted.

    Returns:
        What happened.
    """
    simulators = [Simulator(arm_of(row).xml(), SUBSTEPS) for row in settings]
    angles, velocities = starts.copy(), np.zeros_like(starts)
    observations, actions, distances = [], [], []
    with quiet():
        for step in range(STEPS):
            seen = np.nan_to_num(observe(settings, angles, velocities))
            chosen = policy(seen)
            done = chosen if noise is None else chosen + noise[:, :, step]
            for b, simulator in enumerate(simulators):
                for r in range(starts.shape[1]):
                    angles[b, r], velocities[b, r] = simulator.step(
                        angles[b, r], velocities[b, r], done[b, r]
                    )
            tip = fingertip(settings[:, None, 2:4], angles)
            observations.append(seen)
            actions.append(chosen)
            distances.append(np.linalg.norm(tip - settings[:, None, :2], axis=-1))
    return Trials(*(np.stack(part, axis=2) for part in (observations, actions, distances)))


def demonstration_noise(settings: Floats, count: int, size: float) -> Floats:
    """Draw the disturbance of each demonstration of one task: ``[count, STEPS, 2]``."""
    rng = _generator(settings, "noise")
    return size * rng.standard_normal((count, STEPS, ACTIONS))


def _generator(settings: Floats, purpose: str) -> np.random.Generator:
    content = purpose.encode() + np.ascontiguousarray(settings, "<f8").tobytes()
    return np.random.Generator(
        np.random.Philox(key=int.from_bytes(hashlib.sha256(content).digest()[:16], "little"))
    )


def _log_uniform(
    rng: np.random.Generator, low: tuple[float, ...], high: tuple[float, ...]
) -> Floats:
    return np.exp(rng.uniform(np.log(low), np.log(high)))
