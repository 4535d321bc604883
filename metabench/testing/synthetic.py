"""Synthetic sources and an encoder, so that a learner can be examined without data."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from metabench.hookspecs import TaskKind
from metabench.learners.contracts import Encoder, Inputs
from metabench.tasks.data import ClassPool, IntArray, Pool, Task, TaskData, TaskPool
from metabench.tasks.sampling import Sampling

WIDTH = 16
CLASSES = 8
"""Classes, or tasks, of each split."""
EXAMPLES = 40
SPLITS = ("train", "test")

SAMPLINGS = {
    "classification": Sampling(way=4, shot=3, query=4),
    "binary": Sampling(way=2, shot=12, query=20, draws=1),
    "regression": Sampling(way=1, shot=10, query=20, draws=1),
}
"""The shape of the episodes of each kind."""


def synthetic_source(kind: TaskKind) -> TaskData:
    """Return a source: overlapping Gaussian classes, halves of space, or smooth functions.

    Args:
        kind: The kind of task.
    """
    rng = np.random.default_rng(0)
    groups = len(SPLITS) * CLASSES
    centres = rng.normal(size=(groups, 1, WIDTH))
    points = centres + rng.normal(size=(groups, EXAMPLES, WIDTH))
    inputs = {"embedding": torch.as_tensor(points.reshape(-1, WIDTH), dtype=torch.float32)}
    members = np.arange(groups * EXAMPLES).reshape(groups, EXAMPLES)
    if kind == "classification":
        splits: dict[str, Pool] = {
            split: ClassPool(
                tuple(f"class {n}" for n in range(s * CLASSES, (s + 1) * CLASSES)),
                tuple(members[s * CLASSES : (s + 1) * CLASSES]),
            )
            for s, split in enumerate(SPLITS)
        }
        return TaskData("vector", inputs, splits)

    def make(number: int, items: IntArray) -> Task:
        along = points.reshape(-1, WIDTH)[items] @ rng.normal(size=WIDTH) / WIDTH**0.5
        if kind == "binary":
            return Task(f"task {number}", items, (along > np.median(along)).astype(np.int64))
        return Task(f"task {number}", items, np.sin(2 * along).astype(np.float32))

    splits = {
        split: TaskPool(tuple(make(n, members[n]) for n in range(s * CLASSES, (s + 1) * CLASSES)))
        for s, split in enumerate(SPLITS)
    }
    return TaskData("vector", inputs, splits)


class SyntheticEncoder(Encoder):
    """A small network with batch norm, where statistics of a batch can leak; also gives maps."""

    map_shape = (4, 3, 3)

    def __init__(self) -> None:
        super().__init__()
        self.width = WIDTH
        self.first = nn.Linear(WIDTH, 36)
        self.norm = nn.BatchNorm1d(36)
        self.second = nn.Linear(36, WIDTH)

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed a batch as vectors."""
        out: Tensor = self.second(torch.tanh(self.norm(self.first(inputs["embedding"]))))
        return out

    def forward_map(self, inputs: Inputs) -> Tensor:
        """Embed a batch as maps of 3 x 3 positions."""
        return torch.tanh(self.norm(self.first(inputs["embedding"]))).reshape(-1, *self.map_shape)
