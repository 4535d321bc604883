"""What is examined: a built model with episodes, and how its scores are compared."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metabench.hookspecs import TaskKind
from metabench.learners.contracts import Algorithm, Predictor, Support
from metabench.learners.device import seed_torch, take
from metabench.learners.model import FewShotModel, Problem
from metabench.tasks.sampler import EpisodeBatch, EpisodeSampler

EPISODES = 4
QUERIES = 40
"""Most queries of an episode: enough to matter, and few enough for learners that adapt slowly."""
DRAWN = 32
TOLERANCE = 1e-3
"""Largest difference, as a share of the spread of the scores, that passes for rounding."""
ROUNDING = 1e-2
"""Least spread, as a share of the size of the scores: below it all differences are rounding."""


@dataclass(frozen=True)
class Subject:
    """A model and the episodes that it is examined on.

    Attributes:
        model: Encoder and algorithm, trained or not.
        problem: Prepared inputs.
        sampler: Test episodes.
        kind: The kind of task.
        inductive: What the descriptor declares.
    """

    model: FewShotModel
    problem: Problem
    sampler: EpisodeSampler
    kind: TaskKind
    inductive: bool

    @property
    def algorithm(self) -> Algorithm[Any]:
        """The algorithm."""
        return self.model.algorithm

    @cached_property
    def batch(self) -> EpisodeBatch:
        """A few episodes of one shape, the first ones that have it."""
        count = min(self.sampler.test_episodes(DRAWN), DRAWN)
        alike: dict[tuple[int, int], list[EpisodeBatch]] = {}
        for batch in self.sampler.batches(0, count, 1):
            alike.setdefault((batch.way, batch.support.shape[1]), []).append(batch)
        chosen = max(alike.values(), key=len)[:EPISODES]
        queries = min(QUERIES, *(batch.query.shape[1] for batch in chosen))
        return EpisodeBatch(
            np.concatenate([batch.support for batch in chosen]),
            np.concatenate([batch.support_targets for batch in chosen]),
            np.concatenate([batch.query[:, :queries] for batch in chosen]),
            np.concatenate([batch.query_targets[:, :queries] for batch in chosen]),
            chosen[0].way,
            np.concatenate([batch.origins for batch in chosen]),
        )

    @cached_property
    def support(self) -> Support[Any]:
        """The support sets of the batch."""
        return self.support_of(self.batch)

    @cached_property
    def query(self) -> Any:
        """The queries of the batch, without their targets."""
        return self.view(self.batch.query)

    def support_of(self, batch: EpisodeBatch) -> Support[Any]:
        """Return the support sets of a batch as the algorithm takes them."""
        targets = self.problem.index(batch.support_targets)
        return Support(self.view(batch.support), targets, batch.way)

    @cached_property
    def precise(self) -> Subject:
        """The same episodes and weights in double precision, where rounding shrinks and leaks stay.

        Examples are embedded in single precision, as they were.
        """
        twin = replace(self, model=self.fresh().double())
        support = self.support
        twin.__dict__["batch"] = self.batch
        twin.__dict__["support"] = replace(support, x=mapped(support.x, _double))
        if support.y.is_floating_point():
            twin.__dict__["support"] = replace(twin.support, y=support.y.double())
        twin.__dict__["query"] = mapped(self.query, _double)
        return twin

    def view(self, index: Any) -> Any:
        """Return examples ``[B, n]`` as the algorithm takes them."""
        located = self.problem.index(index)
        if self.model.adapts_encoder:
            return take(self.problem.inputs, located)
        features = self.model.eval().represent_all(self.problem, located.flatten()).clone()
        return features.reshape(*located.shape, *features.shape[1:])

    def fresh(self) -> FewShotModel:
        """Return a copy that has seen no episode; the model itself if it cannot be copied."""
        try:
            return copy.deepcopy(self.model).eval()
        except (RuntimeError, TypeError):
            return self.model.eval()

    def adapt(
        self, support: Support[Any], query: Any, *, model: FewShotModel | None = None, seed: int = 0
    ) -> Predictor[Any]:
        """Adapt as an evaluation does: without gradients, torch seeded, in evaluation mode.

        Args:
            support: The support sets.
            query: The queries, which only a transductive algorithm is handed.
            model: By default a copy that has seen no episode.
            seed: Of torch's own generator.
        """
        algorithm = (self.fresh() if model is None else model).algorithm
        own = Support(mapped(support.x, Tensor.clone), support.y.clone(), support.way)
        seed_torch("examined", seed)
        with torch.no_grad():
            if self.inductive:
                predictor = algorithm.adapt(own)
            else:
                predictor = algorithm.adapt_transductive(own, mapped(query, Tensor.clone))

        def predict(asked: Any) -> Tensor:
            with torch.no_grad():
                return predictor(mapped(asked, Tensor.clone)).detach().cpu().double()

        return predict

    def scores(self, support: Support[Any], query: Any, **options: Any) -> Tensor:
        """Adapt and predict the same queries; options as for `adapt`."""
        return self.adapt(support, query, **options)(query)

    @cached_property
    def usual(self) -> Tensor:
        """The scores of the batch, from a fresh model."""
        return self.scores(self.support, self.query)

    @cached_property
    def again(self) -> Tensor:
        """The same once more, which should be the same bits."""
        return self.scores(self.support, self.query)


def mapped(x: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Apply a function to embeddings, or to each of several inputs."""
    if isinstance(x, Tensor):
        return function(x)
    return {name: function(tensor) for name, tensor in x.items()}


def _double(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def examples(x: Any, index: Tensor) -> Any:
    """Take the same examples ``[n]`` of every episode, or each episode's own ``[B, n]``."""
    if index.dim() == 1:
        return mapped(x, lambda tensor: tensor[:, index])
    rows = torch.arange(len(index), device=index.device).unsqueeze(1)
    return mapped(x, lambda tensor: tensor[rows, index])


def some_episodes(support: Support[Any], query: Any, part: slice) -> tuple[Support[Any], Any]:
    """Take some episodes of a batch."""
    x = mapped(support.x, lambda tensor: tensor[part])
    own = replace(support, x=x, y=support.y[part])
    return own, mapped(query, lambda tensor: tensor[part])


def difference(found: Tensor, expected: Tensor, like: Tensor | None = None) -> float:
    """Return the largest difference of scores, as a share of their spread in the episode.

    Args:
        found: ``[B, n, way]`` scores.
        expected: What they should be.
        like: Scores of the same episodes whose spread counts; by default the expected ones.

    Returns:
        The share; infinite if shapes differ or a score is no finite number.
    """
    if found.shape != expected.shape:
        return float("inf")
    whole = (expected if like is None else like).flatten(1)
    spread = whole.amax(1) - whole.amin(1)
    scale = torch.maximum(spread, ROUNDING * whole.abs().amax(1))
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    share = float(((found - expected).abs().flatten(1).amax(1) / scale).max())
    return share if np.isfinite(share) else float("inf")
