"""The implementations behind the descriptors."""

import dataclasses
import os
import signal
import time
from pathlib import Path

import numpy as np
import torch

from metabench.learners.contracts import (
    Algorithm,
    Encoder,
    EpisodeAlgorithm,
    Hyperparameters,
    class_means,
)
from metabench.tasks.data import ClassPool, TaskData


def blobs(context, classes=40, examples=30):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(classes, 8))
    points = centres[:, None] + 0.6 * rng.normal(size=(classes, examples, 8))
    labels = np.repeat(np.arange(classes), examples)
    first, second = classes // 2, classes * 2 // 3
    bounds = {"train": (0, first), "val": (first, second), "test": (second, classes)}
    splits = {
        split: ClassPool.from_labels(labels, {c: f"class-{c}" for c in range(low, high)})
        for split, (low, high) in bounds.items()
    }
    inputs = {"points": torch.tensor(points.reshape(-1, 8), dtype=torch.float32)}
    return TaskData("points", inputs, splits, groups=np.tile(np.arange(examples), classes))


class Linear(Encoder):
    def __init__(self, spec):
        super().__init__()
        self.width = 16
        self.layer = torch.nn.Linear(spec.shapes["points"][0], self.width)

    def forward(self, inputs):
        return self.layer(inputs["points"])


class Mapped(Linear):
    map_shape = (4, 2, 2)

    def forward_map(self, inputs):
        return self.layer(inputs["points"]).unflatten(1, self.map_shape)


class Plain(Encoder):
    def __init__(self, spec):
        super().__init__()
        self.width = spec.shapes["points"][0]

    def forward(self, inputs):
        return inputs["points"]


class Bytes(Plain):
    def prepare(self, inputs, meta_train):
        del meta_train
        return {"points": (10 * inputs["points"] + 128).round().clamp(0, 255).byte()}


class Prepared(Linear):
    """Leaves a mark where it prepares, so that a test can count how often that happens."""

    def prepare(self, inputs, meta_train):
        if mark := os.environ.get("TOY_MARK"):
            with Path(mark).open("a", encoding="utf-8") as file:
                file.write(f"{len(inputs['points'])}\n")
        known = inputs["points"][meta_train]
        return {"points": (inputs["points"] - known.mean(0)) / known.std(0)}


class NearestMean(EpisodeAlgorithm):
    def adapt_episode(self, x, y, way):
        means = torch.stack([x[y == label].mean(0) for label in range(way)])
        return lambda query: -torch.cdist(query, means)


class ScaledMean(Algorithm):
    def __init__(self, task, hyper=None):
        super().__init__(task, hyper)
        self.scale = torch.nn.Parameter(torch.ones(()))

    def adapt(self, support):
        means = class_means(support)
        return lambda query: -self.scale * torch.cdist(query, means)


class MapMean(Algorithm):
    def adapt(self, support):
        shape = self.task.map_shape
        if tuple(support.x.shape[2:]) != (shape or (self.task.width,)):
            raise ValueError(f"{tuple(support.x.shape)} for {shape}")
        means = class_means(dataclasses.replace(support, x=support.x.flatten(2)))
        return lambda query: -torch.cdist(query.flatten(2), means)


class Troublesome(Algorithm):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Hyperparameters(Hyperparameters):
        trouble: str = "raiser"

    def adapt(self, support):
        if self.hyper.trouble == "raiser":
            raise ZeroDivisionError("a bug of the plugin")
        if self.hyper.trouble == "killer":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.hyper.trouble == "exhauster":
            raise MemoryError("no memory left")
        if self.hyper.trouble == "sleeper":
            time.sleep(60)
        if self.hyper.trouble == "diverger":
            return lambda query: query.new_full((*query.shape[:2], support.way), torch.inf)
        means = class_means(support)
        return lambda query: -torch.cdist(query, means)
