"""``sinusoid``: regression of sine waves (Finn et al., 2017).

Finn, Abbeel & Levine, "Model-agnostic meta-learning for fast adaptation of deep networks", ICML
2017, section 5.1: amplitudes uniform in [0.1, 5], phases in [0, π], inputs in [-5, 5], values
``A sin(x - φ)`` as in the authors' code, neither inputs nor values scaled. Finn et al. draw tasks
without end; here they are a fixed pool, which a record can name by its digest.
"""

from __future__ import annotations

import numpy as np
import torch

from metabench.errors import UsageError
from metabench.tasks.data import Task, TaskData, TaskPool
from metabench.tasks.files import SourceContext

AMPLITUDE = (0.1, 5.0)
PHASE = (0.0, float(np.pi))
INPUT = (-5.0, 5.0)
_SEED = 170303400


def sinusoid(
    context: SourceContext,
    *,
    train: int = 2000,
    val: int = 100,
    test: int = 300,
    points: int = 60,
) -> TaskData:
    """Draw the waves.

    Args:
        context: Names the source.
        train: Meta-train tasks.
        val: Meta-val tasks.
        test: Meta-test tasks.
        points: Points of each task, of which support and query are drawn.

    Returns:
        Inputs ``x`` ``[n, 1]``; one output; each task's amplitude and phase are its settings.

    Raises:
        UsageError: If a number is too small.
    """
    counts = {"train": train, "val": val, "test": test}
    for name, count in {**counts, "points": points}.items():
        least = 2 if name == "points" else 1
        if count < least:
            raise UsageError(f"{context.source}: {name}={count} is less than {least}")
    inputs: list[np.ndarray] = []
    splits: dict[str, TaskPool] = {}
    start = 0
    for key, (split, count) in enumerate(counts.items()):
        rng = np.random.Generator(np.random.Philox(key=(_SEED, key)))
        amplitude = rng.uniform(*AMPLITUDE, size=count)
        phase = rng.uniform(*PHASE, size=count)
        x = rng.uniform(*INPUT, size=(count, points)).astype(np.float32)
        y = amplitude[:, None] * np.sin(x - phase[:, None])
        splits[split] = TaskPool(
            tuple(
                Task(
                    name=f"{split}-{number}",
                    items=start + number * points + np.arange(points),
                    targets=y[number].astype(np.float32),
                    settings=np.array([amplitude[number], phase[number]]),
                )
                for number in range(count)
            )
        )
        inputs.append(x.reshape(-1, 1))
        start += count * points
    return TaskData(
        modality="vector",
        inputs={"x": torch.from_numpy(np.concatenate(inputs))},
        splits=splits,
        notes=(f"a fixed pool of {train} meta-train tasks; Finn et al. draw them without end",),
    )
