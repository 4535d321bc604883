"""Series of noisy oscillators; a class is an oscillator."""

import numpy as np
import torch

from metabench.tasks.data import ClassPool, TaskData

CLASSES, EXAMPLES, LENGTH, BURN_IN = 36, 30, 96, 64
BOUNDS = {"train": (0, 20), "val": (20, 28), "test": (28, 36)}


def oscillations(context):
    """Simulate ``x[t] = 2 r cos(w) x[t-1] - r^2 x[t-2] + noise`` with a period and damping each."""
    del context
    rng = np.random.default_rng(0)
    period = rng.uniform(3, 24, size=(CLASSES, 1))
    damping = rng.uniform(0.75, 0.97, size=(CLASSES, 1))
    first, second = 2 * damping * np.cos(2 * np.pi / period), -(damping**2)
    noise = rng.normal(size=(CLASSES, EXAMPLES, BURN_IN + LENGTH))
    series = np.zeros_like(noise)
    for t in range(2, BURN_IN + LENGTH):
        series[..., t] = first * series[..., t - 1] + second * series[..., t - 2] + noise[..., t]
    values = series[..., BURN_IN:].reshape(-1, LENGTH).astype(np.float32)
    labels = np.repeat(np.arange(CLASSES), EXAMPLES)
    splits = {
        split: ClassPool.from_labels(labels, {n: f"oscillator {n}" for n in range(low, high)})
        for split, (low, high) in BOUNDS.items()
    }
    return TaskData("series", {"values": torch.from_numpy(values)}, splits)
