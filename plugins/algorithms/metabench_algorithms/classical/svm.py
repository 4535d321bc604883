"""Support vector machines on the support set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import sklearn
import torch
from sklearn.svm import SVC, SVR
from torch import Tensor

from metabench.learners.contracts import (
    Algorithm,
    Hyperparameters,
    Predictor,
    Support,
    bounded,
    one_hot,
)
from metabench_algorithms.shared.distance import squared_euclidean

Doubles = npt.NDArray[np.float64]

TOLERANCE = 1e-6  # tighter than scikit-learn's 1e-3, which the order of the examples would show
SAME = 1e-9  # of the largest feature: a smaller spread is rounding


@dataclass(frozen=True, kw_only=True)
class SVMHyperparameters(Hyperparameters):
    """Settings of the machine: the defaults of scikit-learn.

    Attributes:
        kernel: ``linear``, or ``rbf``, ``exp(-gamma |a - b|^2)``.
        penalty: ``C``, the price of an error (1).
        gamma: Of the kernel ``rbf``, for scaled features; 0 is scikit-learn's ``scale``, 1 over the
            summed variance of the features.
        epsilon: In regression, the error that costs nothing, in standard units (0.1).
    """

    kernel: Literal["linear", "rbf"] = "linear"
    penalty: float = bounded(1.0, above=0)
    gamma: float = bounded(0.0, least=0)
    epsilon: float = bounded(0.1, least=0)


class SVM(Algorithm[Tensor]):
    """Largest-margin classifiers, each class against the rest, or support vector regression.

    Cortes & Vapnik (1995), "Support-vector networks", Machine Learning 20; Drucker et al. (1997),
    "Support vector regression machines". Scores are distances to the margin, in units of the
    margin. scikit-learn's ``SVC`` lets pairs of classes vote, which settles ties by the number of a
    class; here each class has one of its machines. Embeddings are centred on the support and
    divided by its spread: one number for all features, since the deviations of single features
    over five examples are mostly noise. Targets of regression are standardised.
    """

    Hyperparameters = SVMHyperparameters

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Solve the dual problems: ``[B, Q, d] -> [B, Q, way]`` margins, or values."""
        x = support.x.double()
        centre = x.mean(1, keepdim=True)
        spread = (x - centre).square().mean((1, 2), keepdim=True).sqrt()
        spread = torch.where(spread > SAME * x.abs().amax((1, 2), keepdim=True), spread, 1)
        x = (x - centre) / spread
        gamma = self.hyper.gamma or 1 / x.shape[2]

        def kernel(a: Tensor) -> Tensor:
            if self.hyper.kernel == "linear":
                return a @ x.mT
            return (-gamma * squared_euclidean(a, x)).exp()

        mean, scale, targets, solve = self._targets(support)
        dual, bias = _each(solve, kernel(x), targets)

        def predict(query: Tensor) -> Tensor:
            q = (query.double() - centre) / spread
            values = ((kernel(q) @ dual + bias) * scale + mean).to(query)
            mirrored = values.shape[-1] < support.way
            return torch.cat([-values, values], -1) if mirrored else values

        return predict

    def _targets(
        self, support: Support[Tensor]
    ) -> tuple[Tensor | int, Tensor | int, Tensor, Callable[[Doubles, Doubles], Any]]:
        """Mean and scale to restore, targets ``[B, S, c]``, and what solves one column."""
        hyper, common = self.hyper, {"kernel": "precomputed", "tol": TOLERANCE}
        if self.task.kind == "regression":
            y = support.y.double()
            mean, scale = y.mean(1, keepdim=True), y.std(1, correction=0, keepdim=True)
            standard = (y - mean) / torch.where(scale > 0, scale, 1)
            machine = SVR(C=hyper.penalty, epsilon=hyper.epsilon, **common)
            return mean, scale, standard, machine.fit
        signs = 2 * one_hot(support.y, support.way, torch.float64) - 1
        # The machines of two classes mirror each other.
        signs = signs[..., 1:] if support.way == 2 else signs  # noqa: PLR2004
        return 0, 1, signs, SVC(C=hyper.penalty, **common).fit


def _each(
    solve: Callable[[Doubles, Doubles], Any], grams: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Dual coefficients ``[B, S, c]`` and biases ``[B, 1, c]`` for ``[B, S, S]`` kernels."""
    dual = np.zeros(tuple(targets.shape))
    bias = np.zeros((len(dual), 1, dual.shape[2]))
    columns = targets.cpu().numpy()
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        for b, gram in enumerate(grams.detach().cpu().numpy()):
            for c in range(dual.shape[2]):
                y = columns[b, :, c]
                if (y == y[0]).all():  # nothing to separate: the same answer everywhere
                    bias[b, 0, c] = y[0]
                    continue
                found = solve(gram, y)
                dual[b, found.support_, c] = found.dual_coef_[0]
                bias[b, 0, c] = found.intercept_[0]
    return torch.as_tensor(dual).to(grams), torch.as_tensor(bias).to(grams)
