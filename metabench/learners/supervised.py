"""Supervised pre-training of an encoder: on all meta-train classes, or on all meta-train tasks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.errors import InapplicableError
from metabench.learners.contracts import Hyperparameters, Query, Support, class_means, one_hot
from metabench.learners.metrics import Answered, accuracy, auroc, nmse
from metabench.learners.recipes import Recipe, Setting
from metabench.tasks.data import ClassPool, TaskPool
from metabench.tasks.sampling import Sampling

VALIDATION_SUPPORT = 16
VALIDATION_QUERY = 64
RIDGE = 0.1
"""Penalty of the validation head, as a share of the mean squared length of the embeddings."""


@dataclass(frozen=True, kw_only=True)
class SupervisedHyperparameters(Hyperparameters):
    """Settings of supervised pre-training.

    Attributes:
        batch: Examples per step. Chen et al. (2019) train with Adam at 1e-3 and batches of 16;
            64 keeps that rate stable and two CPU cores busy.
        label_smoothing: Of the cross-entropy, as in Wang et al. (2019), SimpleShot: 0.1.
    """

    batch: int = 64
    label_smoothing: float = 0.1
    schedule: Literal["constant", "cosine", "halving"] = "cosine"


class _SupervisedRecipe(Recipe):
    """What both kinds of pre-training share: the loop, and embedded meta-val episodes."""

    shared = True

    def __init__(self, setting: Setting, head: nn.Module) -> None:
        super().__init__(setting)
        self.hyper = self._options = SupervisedHyperparameters()
        self._trained = nn.ModuleDict(
            {"encoder": setting.model.encoder, "head": head.to(setting.problem.compute.device)}
        )
        self._key = Sampling(way=1).stream(setting.data.digest, "supervised", setting.seed)

    @property
    def step_examples(self) -> int:
        """The batch."""
        return self._options.batch

    @property
    def trained(self) -> nn.Module:
        """Encoder and linear outputs."""
        return self._trained

    def _generator(self, step: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=self._key, counter=step * 2**32))

    def _val_episodes(self, sampling: Sampling) -> Iterator[tuple[Support[Tensor], Query[Tensor]]]:
        """Yield meta-val episodes on normalised embeddings."""
        setting = self.setting
        pool = setting.data.splits["val"]
        items = setting.problem.index(pool.items)
        setting.model.eval()
        features = F.normalize(setting.model.embed_all(setting.problem, items), dim=-1)
        position = np.full(len(setting.data), -1)
        position[pool.items] = np.arange(len(items))
        sampler = setting.sampler("val", sampling)
        count = min(sampler.test_episodes(setting.val_episodes), setting.val_episodes)
        for batch in sampler.batches(0, count, count):
            support = Support(
                features[setting.problem.index(position[batch.support])],
                setting.problem.index(batch.support_targets),
                batch.way,
            )
            query = Query(
                features[setting.problem.index(position[batch.query])],
                setting.problem.index(batch.query_targets),
            )
            yield support, query


class ClassRecipe(_SupervisedRecipe):
    """Trains the encoder to classify all meta-train classes (Chen et al., 2019, section 3.2).

    Weights are validated by the nearest class mean of normalised embeddings on 1-shot episodes of
    the meta-val split (Wang et al., 2019), whatever the protocol's way and shot, so that one
    checkpoint serves every protocol.
    """

    def __init__(self, setting: Setting, pool: ClassPool) -> None:
        torch.manual_seed(setting.seed)  # the algorithm that came first must not matter
        super().__init__(setting, nn.Linear(setting.model.encoder.width, len(pool.names)))
        self._classes = len(pool.names)
        self._items = setting.problem.index(np.concatenate(pool.members))
        self._labels = setting.problem.index(np.repeat(np.arange(len(pool.names)), pool.sizes))

    def loss(self, step: int) -> Tensor:
        """Cross-entropy over all meta-train classes on a batch drawn with replacement."""
        count = len(self._items)
        numbers = self._generator(step).integers(count, size=self._options.batch)
        drawn = self.setting.problem.index(numbers)
        features = self.setting.model.embed(self.setting.problem, self._items[drawn])
        return F.cross_entropy(
            self._trained["head"](features),
            self._labels[drawn],
            label_smoothing=self._options.label_smoothing,
        )

    def validate(self) -> float | None:
        """Nearest class mean on 1-shot meta-val episodes."""
        pool = self.setting.data.splits.get("val")
        if not isinstance(pool, ClassPool):
            return None
        smallest = int(pool.sizes.min())
        way = min(5, len(pool.names))
        if way < 2 or smallest < 2:  # noqa: PLR2004 - one class or one example decides nothing
            return None
        correct, total = 0.0, 0
        sampling = Sampling(way=way, shot=1, query=min(15, smallest - 1))
        for support, query in self._val_episodes(sampling):
            guess = torch.cdist(query.x, class_means(support)).argmin(-1)
            correct += float((guess == query.y).double().sum())
            total += query.y.numel()
        return correct / total

    def describe(self) -> dict[str, object]:
        """Number of classes and the batch."""
        return {"train_way": self._classes, "batch": self._options.batch}


class TaskHeads(nn.Module):
    """One linear output layer per task.

    Args:
        tasks: Number of tasks.
        width: Length ``d`` of an embedding.
        outputs: Classes or values of each task.
    """

    def __init__(self, tasks: int, width: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(tasks, width, outputs))
        self.bias = nn.Parameter(torch.zeros(tasks, outputs))
        nn.init.uniform_(self.weight, -(width**-0.5), width**-0.5)

    def forward(self, features: Tensor, tasks: Tensor) -> Tensor:
        """``[n, d]`` embeddings and ``[n]`` tasks to ``[n, outputs]``."""
        return torch.einsum("nd,ndk->nk", features, self.weight[tasks]) + self.bias[tasks]


class TaskRecipe(_SupervisedRecipe):
    """Trains the encoder under one linear output layer per meta-train task.

    Multi-task learning (Caruana, 1997), as in the multi-task baseline of Stanley et al. (2021),
    FS-Mol, section 4.2: tasks equally often, and examples equally often within a task. Weights are
    validated by ridge regression on a support of `VALIDATION_SUPPORT` examples of each meta-val
    task (area under the ROC in binary tasks, accuracy in others, 1 - nmse in regression), whatever
    the protocol's support, so that one checkpoint serves every protocol.
    """

    def __init__(self, setting: Setting, pool: TaskPool) -> None:
        torch.manual_seed(setting.seed)
        self._outputs = max(task.way for task in pool.tasks)
        width = setting.model.encoder.width
        super().__init__(setting, TaskHeads(len(pool.tasks), width, self._outputs))
        self._tasks = pool.tasks
        lengths = np.array([len(task.items) for task in pool.tasks])
        self._starts, self._lengths = np.cumsum(lengths) - lengths, lengths
        self._items = setting.problem.index(np.concatenate([t.items for t in pool.tasks]))
        self._targets = setting.problem.index(np.concatenate([t.targets for t in pool.tasks]))

    def loss(self, step: int) -> Tensor:
        """Each drawn example's loss under the output layer of its task."""
        rng = self._generator(step)
        problem = self.setting.problem
        tasks = rng.integers(len(self._tasks), size=self._options.batch)
        drawn = problem.index(self._starts[tasks] + rng.integers(self._lengths[tasks]))
        features = self.setting.model.embed(problem, self._items[drawn])
        outputs, targets = (
            self._trained["head"](features, problem.index(tasks)),
            self._targets[drawn],
        )
        if targets.is_floating_point():
            return F.mse_loss(outputs, targets)
        smoothing = self._options.label_smoothing
        return F.cross_entropy(outputs, targets, label_smoothing=smoothing)

    def validate(self) -> float | None:
        """Ridge regression on meta-val tasks."""
        pool = self.setting.data.splits.get("val")
        if not isinstance(pool, TaskPool) or not pool.tasks:
            return None
        typical = int(np.median([len(task.items) for task in pool.tasks]))
        size = min(VALIDATION_SUPPORT, typical // 2)
        if size < 2:  # noqa: PLR2004 - nothing can be fitted to one example
            return None
        disjoint = self.setting.sampling.group_disjoint
        sampling = Sampling(shot=size, query=VALIDATION_QUERY, draws=1, group_disjoint=disjoint)
        try:
            values = [
                _score(_ridge(support, query.x), support, query, self._outputs)
                for support, query in self._val_episodes(sampling)
            ]
        except InapplicableError:  # the groups of some task leave no query
            return None
        return float(torch.cat(values).nanmean())

    def describe(self) -> dict[str, object]:
        """Number of tasks and the batch."""
        return {"train_tasks": len(self._tasks), "batch": self._options.batch}


def supervised_recipe(setting: Setting) -> Recipe:
    """Return the recipe for what the meta-train split holds: classes or tasks."""
    pool = setting.data.splits["train"]
    if isinstance(pool, ClassPool):
        return ClassRecipe(setting, pool)
    return TaskRecipe(setting, pool)


def _ridge(support: Support[Tensor], query: Tensor) -> Tensor:
    """Scores ``[B, Q, way]`` of ridge regression with a free intercept, in the dual."""
    floating = support.y.is_floating_point()
    targets = support.y if floating else one_hot(support.y, support.way)
    centre, offset = support.x.mean(1, keepdim=True), targets.mean(1, keepdim=True)
    x = support.x - centre
    kernel = x @ x.transpose(1, 2)
    scale = kernel.diagonal(dim1=1, dim2=2).mean(1).clamp_min(torch.finfo(x.dtype).tiny)
    penalty = RIDGE * scale[:, None, None] * torch.eye(x.shape[1], device=x.device)
    dual: Tensor = torch.linalg.solve(kernel + penalty, targets - offset)
    return (query - centre) @ (x.transpose(1, 2) @ dual) + offset


def _score(scores: Tensor, support: Support[Tensor], query: Query[Tensor], outputs: int) -> Tensor:
    """``[B]`` scores of meta-val episodes, larger for better."""
    answered = Answered(scores.cpu(), query.y.cpu(), support.y.cpu())
    if query.y.is_floating_point():
        return 1 - nmse(answered)
    if outputs == 2:  # noqa: PLR2004 - a binary task
        return auroc(answered)
    return accuracy(answered)
