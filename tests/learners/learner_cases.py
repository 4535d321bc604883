"""A small source, encoders with every kind of state, and a few learners."""

import dataclasses

import numpy as np
import torch
from torch import nn

from metabench.learners.contracts import Algorithm, Encoder, Hyperparameters, TaskSpec, class_means
from metabench.learners.device import Compute
from metabench.learners.metrics import accuracy
from metabench.learners.model import Embedded, FewShotModel, Problem
from metabench.learners.recipes import Setting
from metabench.tasks.data import ClassPool, Task, TaskData, TaskPool
from metabench.tasks.sampler import EpisodeSampler
from metabench.tasks.sampling import Sampling

CPU = Compute(torch.device("cpu"))
EVEN = Sampling(way=4, shot=2, query=3)


def blobs(classes=24, examples=12, width=8, noise=1.0):
    """Gaussian classes; half to train on, a quarter each to validate and to test."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(classes, 1, width)) + noise * rng.normal(
        size=(classes, examples, width)
    )
    labels = np.repeat(np.arange(classes), examples)
    bounds = {"train": (0, classes // 2), "val": (classes // 2, classes * 3 // 4)}
    bounds["test"] = (classes * 3 // 4, classes)
    splits = {
        split: ClassPool.from_labels(labels, {c: f"c{c}" for c in range(low, high)})
        for split, (low, high) in bounds.items()
    }
    inputs = {"vector": torch.tensor(points.reshape(-1, width), dtype=torch.float32)}
    return TaskData("vector", inputs, splits, groups=np.tile(np.arange(examples), classes))


def task_data():
    """The same points as binary tasks of several sizes."""
    data = blobs()
    rng = np.random.default_rng(1)
    splits = {}
    for number, split in enumerate(("train", "val", "test")):
        start = 96 * number
        splits[split] = TaskPool(
            tuple(
                Task(
                    f"{split}-{n}",
                    np.arange(start + 30 * n, start + 30 * n + size),
                    rng.permutation(np.arange(size) % 2).astype(np.int64),
                )
                for n, size in enumerate((30, 20, 24))
            )
        )
    return TaskData("vector", data.inputs, splits)


class Counting(Encoder):
    """Linear, batch norm and dropout; counts what it embeds."""

    def __init__(self, width=8, out=6, dropout=0.0):
        super().__init__()
        self.width = out
        self.linear = nn.Linear(width, out)
        self.norm = nn.BatchNorm1d(out)
        self.dropout = nn.Dropout(dropout)
        self.embedded = 0
        self.seen = []

    def forward(self, inputs):
        self.embedded += len(inputs["vector"])
        self.seen.append(inputs["vector"].detach())
        return self.dropout(self.norm(self.linear(inputs["vector"])))


class Convolutional(Encoder):
    """Channels-last convolutions, whose optimiser state has a layout of its own."""

    def __init__(self, dropout=0.2):
        super().__init__()
        self.width = 8
        self.net = nn.Sequential(
            nn.Conv2d(2, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(8, 8, 2),
        )
        self.to(memory_format=torch.channels_last)

    def forward(self, inputs):
        x = inputs["vector"].reshape(-1, 2, 2, 2)
        return self.net(x.contiguous(memory_format=torch.channels_last)).flatten(1)


class Means(Algorithm):
    """Nearest class mean."""

    def adapt(self, support):
        means = class_means(support)
        return lambda query: -torch.cdist(query, means).square()


class Scaled(Means):
    """Nearest class mean with a learned scale of each feature, plus a setting of each type."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Hyperparameters(Hyperparameters):
        steps: int = 3
        temperature: float = 1.0
        fancy: bool = False

    def __init__(self, task, hyper=None):
        super().__init__(task, hyper)
        self.scale = nn.Parameter(torch.ones(task.width))

    def adapt(self, support):
        means = class_means(support) * self.scale
        return lambda query: -torch.cdist(query * self.scale, means).square()


class RawMeans(Algorithm):
    """Takes raw inputs; adapts nothing of the encoder, so that it can be compared with Means."""

    def adapt(self, support):
        x = support.x["vector"]
        encoder = self.task.encoder
        embedded = encoder({"vector": x.flatten(0, 1)}).unflatten(0, x.shape[:2])
        means = class_means(dataclasses.replace(support, x=embedded))

        def predict(query):
            q = query["vector"]
            inside = encoder({"vector": q.flatten(0, 1)}).unflatten(0, q.shape[:2])
            return -torch.cdist(inside, means).square()

        return predict


def model_of(algorithm=Means, encoder=None, hyper=None, seed=0, *, way=4, raw=False):
    torch.manual_seed(seed)
    encoder = Counting() if encoder is None else encoder
    task = TaskSpec("classification", way, encoder.width, encoder if raw else None)
    return FewShotModel(encoder, algorithm(task, hyper), adapts_encoder=raw)


def problem_of(data):
    return Problem(dict(data.inputs), CPU)


def frozen(data, algorithm, **options):
    """A model on stored embeddings, and its problem."""
    features = data.inputs["vector"]
    model = model_of(algorithm, Embedded(features.shape[1]), **options)
    return model, Problem({"embedding": features}, CPU)


def sampler_of(data, sampling=EVEN, split="test", seed=0):
    return EpisodeSampler(
        data.splits[split],
        sampling,
        source_digest=data.digest,
        split=split,
        seed=seed,
        groups=data.groups if sampling.group_disjoint else None,
    )


def setting_of(data, model, problem=None, **changes):
    values = {
        "model": model,
        "problem": problem or problem_of(data),
        "data": data,
        "sampling": EVEN,
        "seed": 0,
        "hyper": model.algorithm.hyper,
        "metric": accuracy,
        "higher_is_better": True,
        "val_episodes": 20,
    }
    return Setting(**{**values, **changes})


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same_state(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)
