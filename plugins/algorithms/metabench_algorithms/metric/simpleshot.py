"""SimpleShot: nearest class mean after centring and normalising."""

from __future__ import annotations

import torch
from torch import Tensor

from metabench.learners.contracts import (
    Algorithm,
    Hyperparameters,
    Predictor,
    Support,
    TaskSpec,
    class_means,
)
from metabench_algorithms.shared.compare import negative_squared_distance, unit


class SimpleShot(Algorithm[Tensor]):
    """Nearest centroid with the CL2N transformation.

    Wang, Chao, Weinberger & van der Maaten (2019), "SimpleShot: Revisiting nearest-neighbor
    classification for few-shot learning", arXiv:1911.04623, section 3: subtract the mean embedding
    of the meta-train examples (C), scale to length 1 (L2N), take the nearest class mean by
    Euclidean distance. No hyperparameters.

    Attributes:
        feature_mean: ``[d]`` mean meta-train embedding; zero, which is no centring (plain L2N),
            until ``fit_features`` is called and so for a source without meta-train examples.
    """

    feature_mean: Tensor

    def __init__(self, task: TaskSpec, hyper: Hyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self.register_buffer("feature_mean", torch.zeros(task.width))

    def fit_features(self, features: Tensor) -> None:
        """Take the mean of the ``[n, d]`` embeddings of meta-train examples."""
        self.feature_mean.copy_(features.mean(0, dtype=torch.float64))

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Average each class: ``[B, Q, d] -> [B, Q, way]`` negative squared distances."""
        centres = class_means(Support(self._transform(support.x), support.y, support.way))

        def predict(query: Tensor) -> Tensor:
            return negative_squared_distance(self._transform(query), centres)

        return predict

    def _transform(self, x: Tensor) -> Tensor:
        return unit(x - self.feature_mean.to(x.dtype))
