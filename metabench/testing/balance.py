"""How a transductive learner fares when the queries are not balanced."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from metabench.leaderboard.audits import Finding
from metabench.learners.evaluation import ADAPTED_AT_ONCE
from metabench.learners.metrics import accuracy_credit
from metabench.tasks.data import ClassPool, IntArray
from metabench.tasks.sampler import EpisodeBatch
from metabench.testing.names import BALANCED, MEASURED, UNBALANCED
from metabench.testing.subject import Subject

CONCENTRATION = 2.0
"""Of the Dirichlet distribution of the class shares (Veilleux et al., 2021, section 3)."""
MEASURED_EPISODES = 60


def measure_balance(subject: Subject) -> tuple[Finding, ...]:
    """Measure the accuracy on equally many queries, balanced and with Dirichlet class shares.

    From the queries of each episode half are kept: equally many of each class, or drawn without
    replacement with class weights from a symmetric Dirichlet distribution.

    Args:
        subject: A transductive learner.

    Returns:
        Two numbers, as findings.
    """
    if subject.kind != "classification" or not isinstance(subject.sampler.pool, ClassPool):
        why = "tasks whose queries are what they are"
        return tuple(Finding(check=n, outcome="inapplicable", detail=why) for n in MEASURED)
    rng = np.random.default_rng(0)
    credit: dict[str, list[Tensor]] = {name: [] for name in MEASURED}
    at_once = ADAPTED_AT_ONCE if subject.model.adapts_encoder else MEASURED_EPISODES
    for batch in subject.sampler.batches(0, MEASURED_EPISODES, at_once):
        support = subject.support_of(batch)
        for name, kept in zip(MEASURED, _kept(batch, rng), strict=True):
            query = subject.view(np.take_along_axis(batch.query, kept, 1))
            labels = np.take_along_axis(np.asarray(batch.query_targets), kept, 1)
            scores = subject.scores(support, query)
            credit[name].append(accuracy_credit(scores, torch.as_tensor(labels)).flatten())
    means = {name: float(torch.cat(parts).mean()) for name, parts in credit.items()}
    drop = means[BALANCED] - means[UNBALANCED]
    details = {
        BALANCED: f"accuracy {means[BALANCED]:.4f}",
        UNBALANCED: f"accuracy {means[UNBALANCED]:.4f}, {drop:.4f} less than balanced",
    }
    return tuple(
        Finding(check=name, outcome="measured", detail=details[name], value=means[name])
        for name in MEASURED
    )


def _kept(batch: EpisodeBatch, rng: np.random.Generator) -> Iterator[IntArray]:
    """Yield positions ``[B, n]`` of the queries that are kept: balanced, then unbalanced."""
    targets: IntArray = np.asarray(batch.query_targets, dtype=np.int64)
    each = max(targets.shape[1] // (2 * batch.way), 1)
    keys = rng.gumbel(size=targets.shape)
    behind = (keys[:, None, :] > keys[:, :, None]) & (targets[:, None, :] == targets[:, :, None])
    place = behind.sum(2)  # of each query among those of its class
    yield np.stack([np.flatnonzero(row < each) for row in place])
    shares = rng.dirichlet(np.full(batch.way, CONCENTRATION), len(targets))
    weights = np.log(np.take_along_axis(shares, targets, 1).clip(1e-12))
    order = np.argsort(-(weights + rng.gumbel(size=targets.shape)), axis=1)
    yield order[:, : each * batch.way]
