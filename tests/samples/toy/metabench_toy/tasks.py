"""Fixed tasks: binary ones, and walks that are scored while they are walked."""

import numpy as np
import torch

from metabench.tasks.data import Task, TaskData, TaskPool

STEPS = 12
DEMONSTRATIONS = 6


def sides(context, size=40):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(400, 4))
    splits = {}
    for split, count in (("train", 6), ("val", 2), ("test", 4)):
        tasks = []
        for number in range(count):
            items = np.sort(rng.choice(400, size, replace=False))
            side = (points[items] @ rng.normal(size=4) > 0.6).astype(np.int64)
            tasks.append(Task(f"{split}-{number}", items, side, subset=f"part {number % 2}"))
        splits[split] = TaskPool(tuple(tasks))
    return TaskData("points", {"points": torch.tensor(points, dtype=torch.float32)}, splits)


def walks(context):
    """On a line, from anywhere: the expert goes a share of the way to the goal in each step."""
    rng = np.random.default_rng(0)
    states, steps, groups, splits = [], [], [], {}
    for split, count in (("train", 6), ("val", 2), ("test", 4)):
        tasks = []
        for number in range(count):
            goal, share = rng.uniform(-3, 3), rng.uniform(0.2, 0.6)
            first = len(states)
            for _ in range(DEMONSTRATIONS):
                state, group = rng.uniform(-5, 5), len(set(groups))
                for _ in range(STEPS):
                    step = share * (goal - state)
                    states.append(state)
                    steps.append(step)
                    groups.append(group)
                    state += step
            items = np.arange(first, len(states))
            values = np.array(steps[first:], dtype=np.float32)
            tasks.append(Task(f"{split}-{number}", items, values, settings=np.array([goal, share])))
        splits[split] = TaskPool(tuple(tasks))
    inputs = {"points": torch.tensor(states, dtype=torch.float32)[:, None]}
    return TaskData("points", inputs, splits, groups=np.array(groups))


def arrival(answered):
    """Let each policy walk from eight places; count who ends within a tenth of the goal."""
    goals = answered.settings[:, :1]
    states = torch.linspace(-4, 4, 8).repeat(len(goals), 1)
    for _ in range(3 * STEPS):
        states = states + answered.predict({"points": states.unsqueeze(-1)}).squeeze(-1)
    arrived = ((states - goals).abs() < 0.1).double().mean(1)
    return torch.where(states.isfinite().all(1), arrived, -torch.inf)
