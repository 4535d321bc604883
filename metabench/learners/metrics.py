"""The metrics that the core brings: how the scores of an episode become one number."""

from __future__ import annotations

import torch
from torch import Tensor


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


def accuracy(scores: Tensor, targets: Tensor) -> Tensor:
    """Share of queries whose class scores highest; ties as in `accuracy_credit`.

    Args:
        scores: ``[B, Q, way]``.
        targets: ``[B, Q]`` labels.

    Returns:
        ``[B]`` float64, NaN where an episode has no query.
    """
    return accuracy_credit(scores, targets).mean(-1)
