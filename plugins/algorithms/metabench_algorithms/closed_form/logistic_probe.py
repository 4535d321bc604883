"""Logistic regression on the support set."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from metabench.learners.contracts import Algorithm, Hyperparameters, Predictor, Support, one_hot
from metabench_algorithms.shared.linear import centred, linear_predictor, prepare, span
from metabench_algorithms.shared.logistic import fit_logistic


@dataclass(frozen=True, kw_only=True)
class LogisticProbeHyperparameters(Hyperparameters):
    """Settings of the head, from the released code of Tian et al. (2020).

    Attributes:
        inverse_penalty: scikit-learn's ``C``.
        normalize: Scale embeddings to length 1 first.
    """

    inverse_penalty: float = 1.0
    normalize: bool = True


class LogisticProbe(Algorithm[Tensor]):
    """Multinomial logistic regression with an L2 penalty and a free intercept.

    Tian, Wang, Krishnan, Tenenbaum & Isola (2020), "Rethinking few-shot image classification: a
    good embedding is all you need?", arXiv:2003.11539, section 3.1. Same optimum as scikit-learn's
    ``LogisticRegression(C=1.0)``, which for two classes fits one weight vector instead of two and
    so penalises twice as much.
    """

    Hyperparameters = LogisticProbeHyperparameters

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Fit the heads of all episodes at once: ``[B, Q, d] -> [B, Q, way]`` logits."""

        def transform(x: Tensor) -> Tensor:
            return prepare(x, normalize=self.hyper.normalize)

        # In float32 the objective is too coarse for the line search to end near the optimum.
        x, mean = centred(transform(support.x).double())
        penalty = (2.0 if support.way == 2 else 1.0) / self.hyper.inverse_penalty  # noqa: PLR2004
        target = one_hot(support.y, support.way, x.dtype)
        reduced, basis = span(x)
        weight, bias = fit_logistic(reduced, target, penalty)
        weight = basis @ weight
        bias = bias - mean @ weight
        return linear_predictor(weight.to(support.x), bias.to(support.x), transform)
