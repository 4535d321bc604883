"""``mujoco-dynamics``: which body is this, and what is it made of? Answered by its next state.

A task is one of four bodies (pendulum, cart-pole, two-link reacher, hopper) with mass, length,
friction, damping and gear drawn for it. An example is a transition: the state and the control now,
and by how much positions and velocities differ one control step (40 ms) later. Meta-train draws
scale the nominal values by log-uniform factors within `INSIDE`; half of the meta-test tasks do so
too, and half have every factor outside, within `OUTSIDE` (``Task.subset``).

Layout: an input is the one-hot body, then its observation and control, then zeros; a target is the
differences of positions, then of velocities, then zeros. Columns are scaled per body by constants
fitted on meta-train. Transitions come from short runs with a smooth random excitation, each from a
new start; a run is a group, so that no run is in support and query.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from metabench.errors import UsageError
from metabench.tasks.data import Task, TaskData, TaskPool
from metabench.tasks.files import SourceContext
from metabench_control.physics.bodies import BODIES, FACTORS, Body, Factors
from metabench_control.physics.simulator import quiet
from metabench_control.scaling import Scaling

Floats = npt.NDArray[np.float64]

INSIDE = (0.75, 4 / 3)
OUTSIDE = ((0.5, 0.7), (1 / 0.7, 2.0))
WIDTH = len(BODIES) + max(body.features for body in BODIES)
OUTPUTS = 2 * max(body.coordinates for body in BODIES)
_SEED = 20120613
_WAVES = 3
_PERIODS = (0.3, 1.5)


@dataclass(frozen=True)
class Draw:
    """What a task is made of, and what its runs showed.

    Attributes:
        body: Position in `BODIES`.
        factors: What its nominal values are multiplied by.
        inputs: ``[n, features]`` observations and controls.
        targets: ``[n, 2 nq]`` differences of positions and velocities.
        runs: ``[n]`` the run of each transition.
        lost: Transitions left out because the state diverged.
    """

    body: int
    factors: Factors
    inputs: Floats
    targets: Floats
    runs: npt.NDArray[np.int64]
    lost: int


def mujoco_dynamics(
    context: SourceContext,
    *,
    train: int = 160,
    val: int = 20,
    test: int = 64,
    runs: int = 24,
    steps: int = 5,
) -> TaskData:
    """Simulate the tasks.

    Args:
        context: Names the source.
        train: Meta-train tasks; bodies in turn.
        val: Meta-val tasks.
        test: Meta-test tasks; every second round of the bodies is drawn outside.
        runs: Runs of each task.
        steps: Transitions of each run.

    Returns:
        Inputs ``x`` ``[n, 19]``, 12 outputs; settings are the body's position in `BODIES` and its
        factors.

    Raises:
        UsageError: If a number is less than 1, or there are fewer tasks than bodies.
    """
    counts = {"train": train, "val": val, "test": test}
    for name, count in {**counts, "runs": runs, "steps": steps}.items():
        least = len(BODIES) if name in counts else 1
        if count < least:
            raise UsageError(f"{context.source}: {name}={count} is less than {least}")
    with quiet():
        draws = {
            split: [_draw(key, number, runs, steps) for number in range(count)]
            for key, (split, count) in enumerate(counts.items())
        }
    scalings = [_scalings(draws["train"], body) for body in range(len(BODIES))]
    inputs, groups, notes = [], [], []
    splits: dict[str, TaskPool] = {}
    start = run = 0
    for split, drawn in draws.items():
        tasks = []
        for number, draw in enumerate(drawn):
            name = f"{split}-{number}-{BODIES[draw.body].name}"
            if draw.lost:
                notes.append(f"{name}: {draw.lost} transitions left out, the state diverged")
            if not len(draw.inputs):
                continue
            x, y = _laid_out(draw, *scalings[draw.body])
            tasks.append(
                Task(
                    name=name,
                    items=start + np.arange(len(x)),
                    targets=y,
                    subset="outside" if _outside(split, number) else "inside",
                    settings=np.array([draw.body, *draw.factors.values()]),
                )
            )
            inputs.append(x)
            groups.append(run + draw.runs)
            start, run = start + len(x), run + runs
        splits[split] = TaskPool(tuple(tasks))
    return TaskData(
        modality="vector",
        inputs={"x": torch.from_numpy(np.concatenate(inputs))},
        splits=splits,
        groups=np.concatenate(groups),
        notes=tuple(notes),
    )


def transitions(
    body: Body, factors: Factors, rng: np.random.Generator, runs: int, steps: int
) -> tuple[Floats, Floats, npt.NDArray[np.int64], int]:
    """Excite a body from random starts.

    A run ends where its state diverges; the rest of it is left out.

    Args:
        body: What is simulated.
        factors: What its nominal values are multiplied by.
        rng: Draws starts and controls.
        runs: How many starts.
        steps: Transitions of a run.

    Returns:
        Inputs, targets and runs as in `Draw`, and how many transitions were left out.
    """
    simulator = body.simulator(factors)
    controls = _excitation(rng, (runs, steps, body.controls), simulator.seconds)
    starts = rng.uniform(body.low, body.high, (runs, body.coordinates))
    speeds = rng.uniform(-1.0, 1.0, starts.shape) * np.array(body.speed)
    before, after, which = [], [], []
    for run in range(runs):
        position, velocity = starts[run], speeds[run]
        for control in controls[run]:
            next_position, next_velocity = simulator.step(position, velocity, control)
            if np.isnan(next_position).any():
                break
            before.append((position, velocity, control))
            after.append((next_position - position, next_velocity - velocity))
            which.append(run)
            position, velocity = next_position, next_velocity
    lost = runs * steps - len(which)
    if not which:
        return np.empty((0, body.features)), np.empty((0, 2 * body.coordinates)), _ints([]), lost
    states = [np.array(column) for column in zip(*before, strict=True)]
    changes = [np.array(column) for column in zip(*after, strict=True)]
    return body.observe(*states), np.concatenate(changes, axis=1), _ints(which), lost


def draw_factors(rng: np.random.Generator, *, outside: bool) -> Factors:
    """Draw one factor for each of `FACTORS`, log-uniform; outside, below or above at random."""
    above = rng.integers(0, 2, len(FACTORS))
    share = rng.random(len(FACTORS))
    spans = np.array([OUTSIDE[side] if outside else INSIDE for side in above])
    low, high = np.log(spans).T
    return Factors(*np.exp(low + share * (high - low)).tolist())


def _draw(key: int, number: int, runs: int, steps: int) -> Draw:
    rng = np.random.Generator(np.random.Philox(key=(_SEED + key, number)))
    split = ("train", "val", "test")[key]
    body = number % len(BODIES)
    factors = draw_factors(rng, outside=_outside(split, number))
    return Draw(body, factors, *transitions(BODIES[body], factors, rng, runs, steps))


def _outside(split: str, number: int) -> bool:
    return split == "test" and number // len(BODIES) % 2 == 1


def _excitation(rng: np.random.Generator, shape: tuple[int, int, int], seconds: float) -> Floats:
    """Sums of sine waves, at most 1 in size: ``[runs, steps, nu]``."""
    runs, steps, controls = shape
    period = rng.uniform(*_PERIODS, (runs, 1, controls, _WAVES))
    phase = rng.uniform(0.0, 2 * np.pi, period.shape)
    size = rng.uniform(0.0, 1.0, period.shape)
    time = seconds * np.arange(steps)[None, :, None, None]
    waves = size * np.sin(2 * np.pi * time / period + phase)
    excitation: Floats = np.clip(waves.sum(-1), -1.0, 1.0)
    return excitation


def _scalings(draws: list[Draw], body: int) -> tuple[Scaling, Scaling]:
    own = [draw for draw in draws if draw.body == body and len(draw.inputs)]
    if not own:
        width, outputs = BODIES[body].features, 2 * BODIES[body].coordinates
        return (
            Scaling(np.zeros(width), np.ones(width)),
            Scaling(np.zeros(outputs), np.ones(outputs)),
        )
    return (
        Scaling.fitted(np.concatenate([draw.inputs for draw in own])),
        Scaling.fitted(np.concatenate([draw.targets for draw in own])),
    )


def _laid_out(
    draw: Draw, inputs: Scaling, targets: Scaling
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    x = np.zeros((len(draw.inputs), WIDTH), np.float32)
    x[:, draw.body] = 1.0
    x[:, len(BODIES) : len(BODIES) + draw.inputs.shape[1]] = inputs(draw.inputs)
    y = np.zeros((len(draw.inputs), OUTPUTS), np.float32)
    y[:, : draw.targets.shape[1]] = targets(draw.targets)
    return x, y


def _ints(values: list[int]) -> npt.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)
