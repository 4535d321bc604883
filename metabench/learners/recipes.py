"""Recipes: what one step of meta-training optimises, and how weights are validated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from metabench.errors import InapplicableError
from metabench.learners.contracts import Hyperparameters
from metabench.learners.evaluation import Metric, mean_score
from metabench.learners.model import FewShotModel, Problem
from metabench.tasks.data import ClassPool, TaskData
from metabench.tasks.sampler import EpisodeBatch, EpisodeSampler
from metabench.tasks.sampling import Sampling

SAMPLED_AT_ONCE = 64
"""Training steps whose indices are drawn together; it cannot change which they are."""
REST_IN_TRAINING = 128
"""Most queries of a meta-training episode where a test episode asks for all the rest of a task."""
MEASURED_EPISODES = 64
"""Training episodes of varying size over whose mean the budget is counted."""


@dataclass(frozen=True)
class Setting:
    """What a recipe trains on.

    Attributes:
        model: Encoder and algorithm, on the device.
        problem: Prepared inputs.
        data: The source.
        sampling: The shape of a test episode.
        seed: The seed.
        hyper: The algorithm's hyperparameters.
        metric: The metric's function, for validation.
        higher_is_better: The metric's direction.
        val_episodes: Meta-val episodes in each selection.
        transductive: Whether the algorithm is handed the unlabelled queries.
    """

    model: FewShotModel
    problem: Problem
    data: TaskData
    sampling: Sampling
    seed: int
    hyper: Hyperparameters
    metric: Metric
    higher_is_better: bool
    val_episodes: int
    transductive: bool = False

    def sampler(self, split: str, sampling: Sampling) -> EpisodeSampler:
        """Return the episodes of one split in a given shape."""
        return EpisodeSampler(
            self.data.splits[split],
            sampling,
            source_digest=self.data.digest,
            split=split,
            seed=self.seed,
            groups=self.data.groups,
        )


class Recipe(ABC):
    """How an algorithm's weights are meta-trained.

    Attributes:
        shared: Whether every algorithm with this recipe trains the same weights. If so, nothing of
            the algorithm may enter, and one checkpoint serves them all.
        hyper: Settings of the training loop.
    """

    shared: ClassVar[bool] = False
    hyper: Hyperparameters

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.hyper = setting.hyper

    @property
    @abstractmethod
    def step_examples(self) -> int:
        """Examples seen in one step."""

    @property
    @abstractmethod
    def trained(self) -> nn.Module:
        """The module whose parameters are optimised and whose state is kept."""

    @abstractmethod
    def loss(self, step: int) -> Tensor:
        """Return the scalar to minimise in a step, a function of the weights and ``step``."""

    def update(self, step: int, optimizer: torch.optim.Optimizer) -> float:
        """Carry out one step; override for a regime that is no gradient of a loss (Reptile).

        Args:
            step: The number of the step, from 0.
            optimizer: The meta-optimiser.

        Returns:
            The loss, for the learning curve.
        """
        optimizer.zero_grad(set_to_none=True)
        loss = self.loss(step)
        torch.autograd.backward(loss)
        if self.hyper.clip_norm:
            nn.utils.clip_grad_norm_(self.trained.parameters(), self.hyper.clip_norm)
        optimizer.step()
        return float(loss.detach())

    def validate(self) -> float | None:
        """Return the meta-val score, higher for better; ``None`` without a meta-val split."""
        return None

    def describe(self) -> dict[str, object]:
        """Return what the record keeps of the training set-up."""
        return {}


class EpisodicRecipe(Recipe):
    """Minimises the algorithm's own loss on episodes of the meta-train split."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        hyper, test = setting.hyper, setting.sampling
        self._sampling = replace(
            test,
            way=hyper.train_way or test.way,
            shot=hyper.train_shot or test.shot,
            query=hyper.train_query or test.query or REST_IN_TRAINING,
        )
        self._sampler = setting.sampler("train", self._sampling)
        self._ahead: tuple[int, list[EpisodeBatch]] = (-1, [])
        classes = isinstance(setting.data.splits["train"], ClassPool)
        self._one_shape = classes and self._sampling.fixed_shape
        self._episode_examples = self._measure(1 if self._one_shape else MEASURED_EPISODES)

    def _measure(self, episodes: int) -> float:
        """Mean number of examples in the first training episodes."""
        seen = sum(
            batch.support.size + batch.query.size
            for batch in self._sampler.batches(0, episodes, episodes)
        )
        return seen / episodes

    @property
    def step_examples(self) -> int:
        """Support and query examples of a meta-batch; the mean where episodes vary in size."""
        return round(self.hyper.meta_batch * self._episode_examples)

    @property
    def trained(self) -> nn.Module:
        """Encoder and algorithm."""
        return self.setting.model

    def loss(self, step: int) -> Tensor:
        """Average the algorithm's loss over the meta-batch."""
        batches = list(self._meta_batch(step))
        total = sum(len(batch) for batch in batches)
        losses = [
            self.setting.model.loss(self.setting.problem, batch) * (len(batch) / total)
            for batch in batches
        ]
        return torch.stack(losses).sum()

    def validate(self) -> float | None:
        """Score the algorithm on meta-val episodes of the test shape."""
        if "val" not in self.setting.data.splits:
            return None
        try:
            sampler = self.setting.sampler("val", self.setting.sampling)
        except InapplicableError:
            return None
        setting = self.setting
        score = mean_score(
            setting.model,
            setting.problem,
            sampler,
            setting.val_episodes,
            setting.metric,
            transductive=setting.transductive,
        )
        return score if setting.higher_is_better else -score

    def describe(self) -> dict[str, object]:
        """Training way, shot and query beside those of the test."""
        shape = self._sampling
        return {
            "train_way": shape.way,
            "train_shot": shape.shot if shape.shot is not None else "uneven",
            "train_query": shape.query,
            "meta_batch": self.hyper.meta_batch,
        }

    def _meta_batch(self, step: int) -> Iterator[EpisodeBatch]:
        size = self.hyper.meta_batch
        if not self._one_shape:
            yield from self._sampler.batches(step * size, (step + 1) * size, size)
            return
        block, offset = divmod(step, SAMPLED_AT_ONCE)
        if self._ahead[0] != block:
            first = block * SAMPLED_AT_ONCE * size
            stop = first + SAMPLED_AT_ONCE * size
            self._ahead = (block, list(self._sampler.batches(first, stop, size)))
        yield self._ahead[1][offset]
