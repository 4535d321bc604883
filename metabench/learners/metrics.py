"""The metrics that the core brings: how an answered episode becomes one number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import Tensor

FloatArray = npt.NDArray[np.float64]
Predict = Callable[[Mapping[str, Tensor]], Tensor]


def no_predictor(inputs: Mapping[str, Tensor]) -> Tensor:
    """Stand where a predictor would be, in answers that were read from a record.

    Raises:
        RuntimeError: Always.
    """
    raise RuntimeError(f"no predictor is at hand to answer {', '.join(inputs)}")


@dataclass(frozen=True)
class Answered:
    """A batch of episodes and what a learner answered: all that a metric may look at.

    ``B`` episodes, ``S`` support and ``Q`` query examples in each; everything lies on the host.

    Attributes:
        scores: ``[B, Q, way]`` scores of the classes; in regression ``[B, Q, k]`` predictions.
        targets: ``[B, Q]`` labels; in regression ``[B, Q, k]`` values.
        support_targets: ``[B, S]`` labels, or ``[B, S, k]`` values.
        lists: ``[B, Q]`` list that each query is ranked in, if the source has lists or groups.
        settings: ``[B, m]`` float64 settings of the tasks, if they have any.
        predict: Each episode's adapted predictor on new inputs, in the source's own format and
            each ``[B, n, ...]``: their scores ``[B, n, way]``. For a metric that closes a loop,
            because what a learner answers decides what it is asked next.
    """

    scores: Tensor
    targets: Tensor
    support_targets: Tensor
    lists: Tensor | None = None
    settings: Tensor | None = None
    predict: Predict = no_predictor


def accuracy_credit(scores: Tensor, targets: Tensor) -> Tensor:
    """Credit of each query: 1 if its class alone scores highest, 0 if not, a share if tied.

    With ``k`` classes tied for the highest score the credit is ``1/k`` if the right one is among
    them: the expectation under a fair tie-break, so that constant scores give exactly chance.
    Non-finite scores earn nothing; minus infinity, the logarithm of nought, ranks last.

    Args:
        scores: ``[B, Q, way]``.
        targets: ``[B, Q]`` labels.

    Returns:
        ``[B, Q]`` float64 credit.
    """
    finite = torch.where(scores.isfinite(), scores, -torch.inf).double()
    best = finite == finite.amax(-1, keepdim=True)
    right = best.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    credit = right.double() / best.sum(-1).clamp_min(1)
    return torch.where(scores.isfinite().any(-1), credit, 0.0)


def accuracy(answered: Answered) -> Tensor:
    """Share of queries whose class scores highest; ties as in `accuracy_credit`.

    Returns:
        ``[B]`` float64, NaN where an episode has no query.
    """
    return accuracy_credit(answered.scores, answered.targets).mean(-1)


def binary_margin(scores: Tensor) -> Tensor:
    """How much likelier the positive class is: ``[B, Q, 2]`` scores to ``[B, Q]`` float32.

    A margin that is no number ranks last. This is what a record keeps of a binary task.
    """
    margin = (scores[..., 1].double() - scores[..., 0].double()).float()
    return torch.where(margin.isnan(), -torch.inf, margin)


def auroc(answered: Answered) -> Tensor:
    """Area under the receiver operating characteristic, by mid-ranks (Mann-Whitney).

    Returns:
        ``[B]`` float64, NaN where all queries are of one class.
    """
    margin, positive = _margins(answered)
    ranks = cast("FloatArray", rankdata(margin, method="average", axis=-1))
    positives = positive.sum(-1)
    negatives = positive.shape[-1] - positives
    above = np.where(positive, ranks, 0.0).sum(-1) - positives * (positives + 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return torch.from_numpy(np.where(_both(positive), above / (positives * negatives), np.nan))


def average_precision(answered: Answered) -> Tensor:
    """Mean over the positives of the precision at their score, tied scores taken together.

    This is the step-wise area under the precision-recall curve of scikit-learn's
    ``average_precision_score``; constant scores give the share of positives.

    Returns:
        ``[B]`` float64, NaN where all queries are of one class.
    """
    margin, positive = _margins(answered)
    order = np.argsort(-margin, axis=-1, kind="stable")
    hit = np.take_along_axis(positive, order, -1)
    value = np.take_along_axis(margin, order, -1)
    size = margin.shape[-1]
    last = np.concatenate([value[:, 1:] != value[:, :-1], np.ones_like(hit[:, :1])], axis=-1)
    ends = np.where(last, np.arange(size), size)
    ends = np.minimum.accumulate(ends[:, ::-1], axis=-1)[:, ::-1]
    precision = np.take_along_axis(hit.cumsum(-1), ends, -1) / (ends + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(hit, precision, 0.0).sum(-1) / hit.sum(-1)
    return torch.from_numpy(np.where(_both(positive), mean, np.nan))


def delta_auprc(answered: Answered) -> Tensor:
    """Average precision above the share of positives in the query set itself.

    Stanley et al. (2021), FS-Mol, section 5: what is gained over constant scores, and over a random
    ranking of many queries. Of ``n`` queries with ``p`` positives, a random ranking is expected to
    gain ``(H_n / n - 1 / n) (n - p) / (n - 1)`` to the order of ``1 / n``, with ``H_n`` the
    harmonic number: 0.06 for 32 queries and 0.01 for 300.

    Returns:
        ``[B]`` float64, NaN where all queries are of one class.
    """
    return average_precision(answered) - answered.targets.double().mean(-1)


def mrr(answered: Answered) -> Tensor:
    """Mean over questions (lists) of the reciprocal rank of the best-ranked answer.

    Ties are broken fairly, in expectation. Questions without an answer, or with nothing but
    answers, are left out.

    Returns:
        ``[B]`` float64, NaN where no question is left.

    Raises:
        ValueError: If the source has neither lists nor groups.
    """
    if answered.lists is None:
        raise ValueError("mrr ranks the candidates of each question, and the source has no lists")
    margin, positive = _margins(answered)
    values = []
    for scores, hits, lists in zip(margin, positive, answered.lists.numpy(), strict=True):
        own = [lists == number for number in np.unique(lists)]
        ranks = [_reciprocal_rank(scores[q], hits[q]) for q in own if 0 < hits[q].sum() < q.sum()]
        values.append(math.fsum(ranks) / len(ranks) if ranks else math.nan)
    return torch.tensor(values, dtype=torch.float64)


def _reciprocal_rank(scores: FloatArray, hits: npt.NDArray[np.bool_]) -> float:
    """Expected reciprocal rank of the first answer when ties are broken at random."""
    best = scores[hits].max()
    above = int((scores > best).sum())
    tied = int((scores == best).sum())
    answers = int((hits & (scores == best)).sum())
    return math.fsum(
        math.comb(tied - place, answers - 1) / math.comb(tied, answers) / (above + place)
        for place in range(1, tied - answers + 2)
    )


def mse(answered: Answered) -> Tensor:
    """Mean squared error over queries and outputs, in the squared unit of the targets.

    Returns:
        ``[B]`` float64; infinite where a prediction is no finite number.
    """
    return _squared_errors(answered).mean((1, 2))


def nmse(answered: Answered) -> Tensor:
    """Squared error as a share of that of predicting the support mean, averaged over outputs.

    1 is what the support mean gets, 0 is perfect. An output that the support mean predicts without
    error (one that is constant in the episode) is left out.

    Returns:
        ``[B]`` float64, NaN where every output is left out; infinite where a prediction is no
        finite number.
    """
    mean = answered.support_targets.double().mean(1, keepdim=True)
    return _mean_share(answered, mean)


def r2(answered: Answered) -> Tensor:
    """Coefficient of determination on the queries, averaged over outputs.

    Returns:
        ``[B]`` float64, NaN where every output is constant; minus infinity where a prediction is
        no finite number.
    """
    return 1 - _mean_share(answered, answered.targets.double().mean(1, keepdim=True))


def _mean_share(answered: Answered, reference: Tensor) -> Tensor:
    """Mean over outputs of the squared error divided by that of a ``[B, 1, k]`` reference."""
    error = _squared_errors(answered).sum(1)
    base = (answered.targets.double() - reference).square().sum(1)
    rounding = 1e-20 * answered.targets.double().square().sum(1)
    varies = base > rounding
    share = torch.where(varies, error / torch.where(varies, base, 1.0), 0.0)
    share = torch.where(error.isinf().any(-1, keepdim=True), torch.inf, share)
    return share.sum(-1) / varies.sum(-1)


def _squared_errors(answered: Answered) -> Tensor:
    """``[B, Q, k]`` float64; infinite where a prediction is no finite number."""
    error = (answered.scores.double() - answered.targets.double()).square()
    return torch.where(error.isfinite(), error, torch.inf)


def _margins(answered: Answered) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    margin = binary_margin(answered.scores).double().numpy()
    return margin, answered.targets.numpy().astype(bool)


def _both(positive: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Whether each row has queries of both classes."""
    return cast("npt.NDArray[np.bool_]", positive.any(-1) & ~positive.all(-1))
