"""Ridge regression on the support set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metabench.learners.contracts import Algorithm, Hyperparameters, Predictor, Support, one_hot
from metabench_algorithms.shared.linear import centred, linear_predictor, prepare, solve_ridge


@dataclass(frozen=True, kw_only=True)
class RidgeProbeHyperparameters(Hyperparameters):
    """Settings of the head.

    Attributes:
        alpha: Penalty of the squared weights; 1.0 is scikit-learn's default.
        normalize: Scale embeddings to length 1 first. Tian et al. (2020), arXiv:2003.11539, do so
            for their linear probe; it makes ``alpha`` mean the same for every encoder. ``None``
            does it for classes and not in regression, whose inputs can be a single number or a
            physical quantity, of which the length is the very information.
    """

    alpha: float = 1.0
    normalize: bool | None = None


class RidgeProbe(Algorithm[Tensor]):
    """Least squares with an L2 penalty and a free intercept, in closed form.

    Hoerl & Kennard (1970), "Ridge regression", Technometrics 12(1), equation 2.1, and for S < d the
    dual form (Bertinetto et al., 2019, arXiv:1805.08136, equation 5). Classes are regressed as -1
    and +1, one column each. Equal to scikit-learn's ``Ridge`` and ``RidgeClassifier``.
    """

    Hyperparameters = RidgeProbeHyperparameters

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Solve the normal equations: ``[B, Q, d] -> [B, Q, way]``."""
        regression = self.task.kind == "regression"
        if regression:
            targets = support.y.double()
        else:
            targets = 2 * one_hot(support.y, support.way, torch.float64) - 1
        normalize = not regression if self.hyper.normalize is None else self.hyper.normalize

        def transform(x: Tensor) -> Tensor:
            return prepare(x, normalize=normalize)

        # Nearly collinear examples with a small penalty need the digits of float64.
        x, mean = centred(transform(support.x).double())
        offset = targets.mean(1, keepdim=True)
        weight = solve_ridge(x, targets - offset, self.hyper.alpha)
        bias = offset - mean @ weight
        return linear_predictor(weight.to(support.x), bias.to(support.x), transform)
