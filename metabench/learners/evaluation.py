"""Evaluation on episodes: embed each item once, adapt, predict, score."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metabench.learners.contracts import Support
from metabench.learners.device import seed_torch, take
from metabench.learners.metrics import accuracy_credit
from metabench.learners.model import FewShotModel, Problem
from metabench.tasks.data import TaskPool
from metabench.tasks.sampler import EpisodeBatch, EpisodeSampler

Metric = Callable[[Tensor, Tensor], Tensor]
Report = Callable[[int, int], None]

EPISODES_AT_ONCE = 100
"""Episodes per batch for heads on embeddings; fixed, so that results do not depend on memory."""
ADAPTED_AT_ONCE = 4
"""Episodes per batch for learners that adapt the encoder."""


@dataclass(frozen=True)
class Evaluation:
    """The outcome of the test episodes.

    Attributes:
        scores: ``[E]`` metric of each episode; NaN where it is undefined.
        predictions: ``[sum Q]`` predicted class (int16) of every query, episode after episode; the
            first of the tied ones. In other kinds of task the score or value (float32).
        credit: ``[sum Q]`` credit of each query under ties (float32); empty but in classification.
        targets: ``[sum Q]`` the truth.
        offsets: ``[E + 1]`` where each episode begins in the flat arrays.
        units: ``[E]`` number of the fixed task that each episode was drawn from; empty for class
            pools.
        embed_seconds: Time to embed the test items.
        adapt_seconds: Time to adapt and predict, over all episodes.
    """

    scores: npt.NDArray[np.float64]
    predictions: npt.NDArray[np.generic]
    credit: npt.NDArray[np.float32]
    targets: npt.NDArray[np.generic]
    offsets: npt.NDArray[np.int64]
    units: npt.NDArray[np.int64]
    embed_seconds: float
    adapt_seconds: float

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the arrays that the store keeps."""
        return {
            "scores": self.scores,
            "predictions": self.predictions,
            "credit": self.credit,
            "targets": self.targets,
            "offsets": self.offsets,
            "units": self.units,
        }


class _EpisodeView:
    """Gives a batch of episodes to an algorithm in the form that it takes."""

    def __init__(self, model: FewShotModel, problem: Problem, items: npt.NDArray[np.int64]) -> None:
        self._inputs: Any = problem.inputs
        self._problem = problem
        self._raw = model.adapts_encoder
        self._position = None
        if not self._raw:
            self._features = model.embed_all(problem, problem.index(items))
            size = int(items.max()) + 1
            position = torch.full((size,), -1, dtype=torch.int64, device=problem.compute.device)
            position[problem.index(items)] = torch.arange(len(items), device=problem.compute.device)
            self._position = position

    def __call__(self, index: npt.NDArray[np.int64]) -> Any:
        located = self._problem.index(index)
        if self._position is None:
            return take(self._inputs, located)
        return self._features[self._position[located]]


def scored_batches(
    model: FewShotModel,
    problem: Problem,
    sampler: EpisodeSampler,
    episodes: int,
    *,
    transductive: bool = False,
    timings: dict[str, float] | None = None,
) -> Iterator[tuple[EpisodeBatch, Tensor, Tensor]]:
    """Adapt to and predict the first ``episodes`` episodes of a sampler.

    Args:
        model: Encoder and algorithm; put into evaluation mode.
        problem: Prepared inputs.
        sampler: Where the episodes come from.
        episodes: How many.
        transductive: Whether the algorithm is handed the unlabelled queries while it adapts.
        timings: Receives ``embed`` and ``adapt`` seconds.

    Yields:
        Each batch with its scores ``[B, Q, way]`` or ``[B, Q]``, and its targets ``[B, Q]``, both
        on the host. A learner that draws random numbers draws the same whatever ran before.
    """
    timings = {} if timings is None else timings
    timings.update(embed=0.0, adapt=0.0)
    model.eval()
    started = time.perf_counter()
    view = _EpisodeView(model, problem, sampler.pool.items)
    problem.compute.wait()
    timings["embed"] = time.perf_counter() - started
    size = ADAPTED_AT_ONCE if model.adapts_encoder else EPISODES_AT_ONCE
    done = 0
    for batch in sampler.batches(0, episodes, size):
        seed_torch(sampler.stream, done)
        done += len(batch)
        started = time.perf_counter()
        support = Support(view(batch.support), problem.index(batch.support_targets), batch.way)
        query = view(batch.query)
        with torch.no_grad():
            if transductive:
                scores = model.algorithm.adapt_transductive(support, query)(query)
            else:
                scores = model.algorithm.adapt(support)(query)
            _check_shape(scores, batch)
            scores = scores.detach().cpu()  # waits for the device, whose time counts
        timings["adapt"] += time.perf_counter() - started
        yield batch, scores, torch.as_tensor(batch.query_targets)


def evaluate(
    model: FewShotModel,
    problem: Problem,
    sampler: EpisodeSampler,
    episodes: int,
    metric: Metric,
    *,
    transductive: bool = False,
    report: Report | None = None,
) -> Evaluation:
    """Score a learner on test episodes.

    Args:
        model: Encoder and algorithm.
        problem: Prepared inputs.
        sampler: Where the episodes come from.
        episodes: How many.
        metric: Scores and targets of a batch to one value per episode.
        transductive: As in `scored_batches`.
        report: Called with the number of finished episodes and the total.

    Returns:
        Scores and predictions of every episode.
    """
    timings: dict[str, float] = {}
    values, predictions, credits_, targets, lengths, units = [], [], [], [], [], []
    done = 0
    for batch, scores, truth in scored_batches(
        model, problem, sampler, episodes, transductive=transductive, timings=timings
    ):
        values.append(metric(scores, truth).double().numpy())
        targets.append(truth.flatten().numpy())
        if scores.dim() == 3 and not truth.is_floating_point():  # noqa: PLR2004 - [B, Q, way]
            predictions.append(scores.argmax(-1).flatten().short().numpy())
            credits_.append(accuracy_credit(scores, truth).flatten().float().numpy())
        else:
            predictions.append(scores.flatten().float().numpy())
        lengths += [truth.shape[1]] * len(batch)
        if isinstance(sampler.pool, TaskPool):
            units.append(batch.origins[:, 0])
        done += len(batch)
        if report:
            report(done, episodes)
    return Evaluation(
        scores=np.concatenate(values),
        predictions=np.concatenate(predictions),
        credit=np.concatenate(credits_) if credits_ else np.empty(0, np.float32),
        targets=np.concatenate(targets),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        units=np.concatenate(units) if units else np.empty(0, np.int64),
        embed_seconds=timings["embed"],
        adapt_seconds=timings["adapt"],
    )


def mean_score(
    model: FewShotModel,
    problem: Problem,
    sampler: EpisodeSampler,
    episodes: int,
    metric: Metric,
    *,
    transductive: bool = False,
) -> float:
    """Return the mean metric over episodes, undefined ones left out; for model selection."""
    total = sampler.test_episodes(episodes)
    values = [
        metric(scores, truth).double()
        for _, scores, truth in scored_batches(
            model, problem, sampler, min(total, episodes), transductive=transductive
        )
    ]
    return float(torch.cat(values).nanmean())


def _check_shape(scores: Tensor, batch: EpisodeBatch) -> None:
    """Reject scores that no metric can read, naming what was expected."""
    expected = batch.query.shape
    if batch.query_targets.dtype.kind == "i":
        expected = (*expected, batch.way)
    if tuple(scores.shape) != tuple(expected):
        raise ValueError(
            f"the predictor returned scores of shape {tuple(scores.shape)}; "
            f"[episodes, queries, way] = {tuple(expected)} was expected"
        )
