"""BD-CSPN: cosine prototypes rectified by the queries."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from metabench.learners.contracts import Hyperparameters, Predictor, Support, class_means
from metabench_algorithms.metric.simpleshot import SimpleShot
from metabench_algorithms.shared.compare import cosine
from metabench_algorithms.transductive.rectify import rectify


@dataclass(frozen=True, kw_only=True)
class BDCSPNHyperparameters(Hyperparameters):
    """Settings of Liu et al. (2020).

    Attributes:
        scale: Factor ``epsilon`` of the cosine before the softmax; 10, as in the released code of
            Ziko et al. (2020) and Veilleux et al. (2021).
        shift: Move the queries by the difference of the means. It takes for granted
            that the queries mix the classes as the support does: with unbalanced queries and a
            balanced support, switch it off.
        centre: Subtract the meta-train mean first, as Veilleux et al. do on encoders trained, like
            those of this recipe, under a linear layer. The paper trains under cosines and does not.
    """

    scale: float = 10.0
    shift: bool = True
    centre: bool = True


class BDCSPN(SimpleShot):
    """Cosine prototypes with diminished bias.

    Liu, Song & Qin (2020), "Prototype rectification for few-shot learning", arXiv:1911.10713.
    Cross-class bias: normalised queries move by ``mean(support) - mean(query)``. Intra-class bias:
    each query joins the class of its nearest prototype ``c`` by cosine, and a prototype becomes the
    mean of the support and the queries in its class, weighted by the softmax within the class of
    ``scale * cos(x, c)``. Scores are ``scale * cos``. Without queries it is the cosine prototype.

    One departure: all queries are used, as in the code of Ziko et al. and Veilleux et al., where
    the paper takes the most confident of each class. A query between tied prototypes joins each
    with a share; a class without members keeps its prototype. No class prior is assumed.
    """

    Hyperparameters = BDCSPNHyperparameters

    def fit_features(self, features: Tensor) -> None:
        """Take the mean of the ``[n, d]`` embeddings of meta-train examples, if it is asked for."""
        if self.hyper.centre:
            super().fit_features(features)

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Average each class: ``[B, Q, d] -> [B, Q, way]`` scaled cosines."""
        x = self._transform(support.x)
        return self._predictor(class_means(Support(x, support.y, support.way)), None)

    def adapt_transductive(self, support: Support[Tensor], query: Tensor) -> Predictor[Tensor]:
        """Rectify the prototypes: ``[B, Q, d] -> [B, Q, way]`` scaled cosines."""
        x, q = self._transform(support.x), self._transform(query)
        shift = x.mean(1, keepdim=True) - q.mean(1, keepdim=True) if self.hyper.shift else None
        moved = q if shift is None else q + shift
        rectified = rectify(Support(x, support.y, support.way), moved, self.hyper.scale)
        return self._predictor(rectified, shift)

    def _predictor(self, prototypes: Tensor, shift: Tensor | None) -> Predictor[Tensor]:
        def predict(query: Tensor) -> Tensor:
            q = self._transform(query)
            moved = q if shift is None else q + shift
            scores: Tensor = self.hyper.scale * cosine(moved, prototypes)
            return scores

        return predict
