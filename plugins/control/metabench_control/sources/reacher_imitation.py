"""``reacher-imitation``: a policy from a few demonstrations, for a new goal and a new arm.

A task is a goal for the fingertip of a planar two-link arm and the arm's lengths, masses, damping,
friction and gears; all are new in every task, and a policy observes neither goal nor dynamics. An
example is one control step of a demonstration by the scripted expert: what is observed, and what
the expert does. A shot is a whole demonstration (a group). Demonstrations are disturbed by Gaussian
noise on the motors, while the expert's own action is the target, so that they also show how to come
back (Laskey et al., "DART: noise injection for robust imitation learning", CoRL 2017).

The measure is ``reacher-success``: the adapted policy runs in the simulator, from other starts.
Observations are scaled by fixed units, because the metric has to repeat it; actions are in -1 .. 1.
"""

from __future__ import annotations

import numpy as np
import torch

from metabench.errors import UsageError
from metabench.tasks.data import Task, TaskData, TaskPool
from metabench.tasks.files import SourceContext
from metabench_control.physics.reaching import (
    ACTIONS,
    OBSERVED,
    STEPS,
    demonstration_noise,
    draw_task,
    expert,
    run_trials,
    start_angles,
)

_SEED = 170309327


def reacher_imitation(
    context: SourceContext,
    *,
    train: int = 150,
    val: int = 15,
    test: int = 40,
    demonstrations: int = 16,
    noise: float = 0.2,
) -> TaskData:
    """Let the expert demonstrate all tasks.

    Args:
        context: Names the source.
        train: Meta-train tasks.
        val: Meta-val tasks.
        test: Meta-test tasks.
        demonstrations: Demonstrations of each task, of 30 control steps.
        noise: Standard deviation of the disturbance, in units of a full action.

    Returns:
        Inputs ``x`` ``[n, 8]``, two outputs; groups are the demonstrations.

    Raises:
        UsageError: If a number is too small.
    """
    counts = {"train": train, "val": val, "test": test}
    for name, count in {**counts, "demonstrations": demonstrations}.items():
        least = 2 if name == "demonstrations" else 1
        if count < least:
            raise UsageError(f"{context.source}: {name}={count} is less than {least}")
    names, rows = [], []
    for key, (split, count) in enumerate(counts.items()):
        for number in range(count):
            rng = np.random.Generator(np.random.Philox(key=(_SEED + key, number)))
            names.append((split, f"{split}-{number}"))
            rows.append(draw_task(rng))
    settings = np.stack(rows)
    starts = np.stack([start_angles(row, demonstrations, "demonstration") for row in rows])
    disturbed = np.stack([demonstration_noise(row, demonstrations, noise) for row in rows])
    trials = run_trials(settings, starts, expert(settings), noise=disturbed)
    complete = np.isfinite(trials.distances).all(-1)
    notes = [
        f"{names[task][1]}: {lost} demonstrations left out, the state diverged"
        for task, lost in enumerate((~complete).sum(1).tolist())
        if lost
    ]
    numbers = np.flatnonzero(complete)
    inputs = trials.observations[complete].reshape(-1, OBSERVED).astype(np.float32)
    actions = trials.actions[complete].reshape(-1, ACTIONS).astype(np.float32)
    groups = np.repeat(numbers, STEPS)
    owner = groups // demonstrations
    tasks: dict[str, list[Task]] = {split: [] for split in counts}
    for number, (split, name) in enumerate(names):
        items = np.flatnonzero(owner == number)
        if len(items):
            tasks[split].append(
                Task(name=name, items=items, targets=actions[items], settings=settings[number])
            )
    return TaskData(
        modality="vector",
        inputs={"x": torch.from_numpy(inputs)},
        splits={split: TaskPool(tuple(own)) for split, own in tasks.items()},
        groups=groups,
        notes=tuple(notes),
    )
