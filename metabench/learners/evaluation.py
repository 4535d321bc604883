"""Evaluation on episodes: embed each item once, adapt, predict, score."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metabench.hookspecs import TaskKind
from metabench.learners.contracts import Inputs, Support
from metabench.learners.device import seed_torch, take
from metabench.learners.metrics import Answered, accuracy_credit, binary_margin
from metabench.learners.model import FewShotModel, Problem
from metabench.tasks.data import TaskPool
from metabench.tasks.sampler import EpisodeBatch, EpisodeSampler

Metric = Callable[[Answered], Tensor]
Report = Callable[[int, int], None]

EPISODES_AT_ONCE = 100
"""Episodes per batch for heads on embeddings; fixed, so that results do not depend on memory."""
ADAPTED_AT_ONCE = 4
"""Episodes per batch for learners that adapt the encoder."""
ADAPTED_AT_ONCE_ON_ACCELERATORS = 16
"""The same where the encoder embeds copies at once and the launch of kernels takes the time."""


@dataclass(frozen=True)
class Evaluation:
    """The outcome of the test episodes.

    Attributes:
        scores: ``[E]`` metric of each episode; NaN where it is undefined.
        others: By name, the same of further metrics.
        predictions: ``[sum Q]`` predicted class (int16) of every query, episode after episode; the
            first of the tied ones. In binary tasks `binary_margin` (float32), in regression the
            values ``[sum Q, k]`` (float32).
        credit: ``[sum Q]`` credit of each query under ties (float32); empty but in classification.
        targets: ``[sum Q]`` the truth, or ``[sum Q, k]``.
        offsets: ``[E + 1]`` where each episode begins in the flat arrays.
        units: ``[E]`` number of the fixed task that each episode was drawn from; empty for class
            pools.
        embed_seconds: Time to embed the test items.
        adapt_seconds: Time to adapt and predict, over all episodes.
    """

    scores: npt.NDArray[np.float64]
    others: Mapping[str, npt.NDArray[np.float64]]
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
            **{f"other.{name}": values for name, values in self.others.items()},
        }


class _EpisodeView:
    """Gives a batch of episodes to an algorithm in the form that it takes."""

    def __init__(self, model: FewShotModel, problem: Problem, items: npt.NDArray[np.int64]) -> None:
        self._inputs: Any = problem.inputs
        self._problem = problem
        self._raw = model.adapts_encoder
        self._position = None
        if not self._raw:
            self._features = model.represent_all(problem, problem.index(items))
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
) -> Iterator[tuple[EpisodeBatch, Answered]]:
    """Adapt to and predict the first ``episodes`` episodes of a sampler.

    Args:
        model: Encoder and algorithm; put into evaluation mode.
        problem: Prepared inputs.
        sampler: Where the episodes come from.
        episodes: How many.
        transductive: Whether the algorithm is handed the unlabelled queries while it adapts.
        timings: Receives ``embed`` and ``adapt`` seconds.

    Yields:
        Each batch and what was answered. A learner that draws random numbers draws the same
        whatever ran before.
    """
    timings = {} if timings is None else timings
    timings.update(embed=0.0, adapt=0.0)
    model.eval()
    started = time.perf_counter()
    view = _EpisodeView(model, problem, sampler.pool.items)
    problem.compute.wait()
    timings["embed"] = time.perf_counter() - started
    size = EPISODES_AT_ONCE
    if model.adapts_encoder:
        many = problem.compute.device.type != "cpu" and hasattr(model.encoder, "forward_copies")
        size = ADAPTED_AT_ONCE_ON_ACCELERATORS if many else ADAPTED_AT_ONCE
    done = 0
    for batch in sampler.batches(0, episodes, size):
        seed_torch(sampler.stream, done)
        done += len(batch)
        started = time.perf_counter()
        support = Support(view(batch.support), problem.index(batch.support_targets), batch.way)
        query = view(batch.query)
        with torch.no_grad():
            if transductive:
                predictor = model.algorithm.adapt_transductive(support, query)
            else:
                predictor = model.algorithm.adapt(support)
            scores = predictor(query)
            _check_shape(scores, batch)
            scores = scores.detach().cpu()  # waits for the device, whose time counts
        timings["adapt"] += time.perf_counter() - started
        predict = partial(_predict_new, model, problem, predictor)
        yield batch, _answered(problem, sampler, batch, scores, predict)


def _predict_new(
    model: FewShotModel, problem: Problem, predictor: Callable[[Any], Tensor], inputs: Inputs
) -> Tensor:
    """Apply an adapted predictor to inputs that no source holds."""
    with torch.no_grad():
        return predictor(model.view_new(problem, inputs)).detach().cpu()


def _answered(
    problem: Problem,
    sampler: EpisodeSampler,
    batch: EpisodeBatch,
    scores: Tensor,
    predict: Callable[[Inputs], Tensor],
) -> Answered:
    """Put together what a metric may look at."""
    settings = None
    if isinstance(sampler.pool, TaskPool):
        told = [sampler.pool.tasks[number].settings for number in batch.origins[:, 0]]
        known = [numbers for numbers in told if numbers is not None]
        settings = torch.as_tensor(np.stack(known)) if known else None
    lists = sampler.groups if problem.lists is None else problem.lists
    return Answered(
        scores=scores,
        targets=torch.as_tensor(batch.query_targets),
        support_targets=torch.as_tensor(batch.support_targets),
        lists=None if lists is None else torch.as_tensor(lists[batch.query]),
        settings=settings,
        predict=predict,
    )


def evaluate(
    model: FewShotModel,
    problem: Problem,
    sampler: EpisodeSampler,
    episodes: int,
    metric: Metric,
    *,
    kind: TaskKind = "classification",
    others: Mapping[str, Metric] | None = None,
    transductive: bool = False,
    report: Report | None = None,
) -> Evaluation:
    """Score a learner on test episodes.

    Args:
        model: Encoder and algorithm.
        problem: Prepared inputs.
        sampler: Where the episodes come from.
        episodes: How many.
        metric: The answers to a batch of episodes to one value per episode.
        kind: The kind of task.
        others: Further metrics, by name.
        transductive: As in `scored_batches`.
        report: Called with the number of finished episodes and the total.

    Returns:
        Scores and predictions of every episode.
    """
    timings: dict[str, float] = {}
    metrics = {"": metric, **(others or {})}
    values: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in metrics}
    predictions, credits_, targets, lengths, units = [], [], [], [], []
    done = 0
    for batch, answered in scored_batches(
        model, problem, sampler, episodes, transductive=transductive, timings=timings
    ):
        for name, one in metrics.items():
            values[name].append(_scored(one, answered).numpy())
        targets.append(answered.targets.flatten(0, 1).numpy())
        if kind == "classification":
            predictions.append(answered.scores.argmax(-1).flatten().short().numpy())
            credit = accuracy_credit(answered.scores, answered.targets)
            credits_.append(credit.flatten().float().numpy())
        elif kind == "binary":
            predictions.append(binary_margin(answered.scores).flatten().numpy())
        else:
            predictions.append(answered.scores.flatten(0, 1).float().numpy())
        lengths += [answered.targets.shape[1]] * len(batch)
        if isinstance(sampler.pool, TaskPool):
            units.append(batch.origins[:, 0])
        done += len(batch)
        if report:
            report(done, episodes)
    return Evaluation(
        scores=np.concatenate(values.pop("")),
        others={name: np.concatenate(parts) for name, parts in values.items()},
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
        _scored(metric, answered)
        for _, answered in scored_batches(
            model, problem, sampler, min(total, episodes), transductive=transductive
        )
    ]
    return float(torch.cat(values).nanmean())


def _scored(metric: Metric, answered: Answered) -> Tensor:
    """Return a metric's ``[B]`` float64 values, or say what it returned instead."""
    values: Any = metric(answered)
    episodes = len(answered.scores)
    shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
    if shape != (episodes,):
        name = getattr(metric, "__name__", repr(metric))
        raise TypeError(
            f"the metric {name} returned {shape}; a tensor of shape [episodes] = ({episodes},) "
            "was expected"
        )
    checked: Tensor = values.double()
    return checked


def _check_shape(scores: Tensor, batch: EpisodeBatch) -> None:
    """Reject scores that no metric can read, naming what was expected."""
    expected = (*batch.query.shape, batch.way)
    if tuple(scores.shape) != expected:
        last = "way" if batch.query_targets.dtype.kind == "i" else "outputs"
        raise ValueError(
            f"the predictor returned scores of shape {tuple(scores.shape)}; "
            f"[episodes, queries, {last}] = {expected} was expected"
        )
