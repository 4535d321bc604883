"""Simple CNAPS without feature adaptation."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from metabench.learners.contracts import Algorithm, Hyperparameters, Predictor, Support, bounded
from metabench_algorithms.metric.mahalanobis import mahalanobis


@dataclass(frozen=True, kw_only=True)
class SimpleCNAPSHyperparameters(Hyperparameters):
    """Settings of the classifier.

    Attributes:
        ridge: ``beta``; 1 in the released code.
    """

    ridge: float = bounded(1.0, above=0)


class SimpleCNAPS(Algorithm[Tensor]):
    """Nearest class mean by the Mahalanobis distance of each class.

    Bateni, Goyal, Masrani, Wood & Sigal (2020), "Improved few-shot visual classification",
    arXiv:1912.03432 (equations: `metabench_algorithms.metric.mahalanobis`), on a pre-trained
    encoder. Their FiLM layers inside the encoder are left out, which is the setting
    ``no_adaptation`` of the released code; nothing is left to meta-train. The covariance of a
    class with one example is zero; the released code puts the variance over features there.
    """

    Hyperparameters = SimpleCNAPSHyperparameters

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Fit means and covariances: ``[B, Q, d] -> [B, Q, way]`` negative squared distances."""
        return mahalanobis(support, most_own=1.0, ridge=self.hyper.ridge)
