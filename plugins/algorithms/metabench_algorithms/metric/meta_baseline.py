"""Meta-Baseline: cosine nearest centroid, meta-trained after supervised pre-training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from metabench.learners.contracts import (
    Algorithm,
    Hyperparameters,
    Predictor,
    Support,
    TaskSpec,
    class_means,
)
from metabench_algorithms.shared.compare import cosine


@dataclass(frozen=True, kw_only=True)
class MetaBaselineHyperparameters(Hyperparameters):
    """Settings of the meta-learning stage in the released code of Chen et al. (2021).

    Attributes:
        temperature: Where the learned factor of the cosine starts: 10.
        optimizer: SGD with momentum 0.9.
        learning_rate: 0.001, constant.
        weight_decay: 0.0005.
        meta_batch: 4 episodes a step.
    """

    temperature: float = 10.0
    optimizer: Literal["adam", "sgd"] = "sgd"
    weight_decay: float = 5e-4
    meta_batch: int = 4


class MetaBaseline(Algorithm[Tensor]):
    """Nearest centroid by scaled cosine.

    Chen, Liu, Xu, Darrell & Wang (2021), "Meta-Baseline: exploring simple meta-learning for
    few-shot learning", arXiv:2003.04390, section 3: the encoder is pre-trained to classify
    all base classes; then the episodes' cross-entropy trains it and the learned ``tau`` of
    ``softmax(tau cos(f(q), w_c))``, ``w_c`` being the mean embedding of a class.
    """

    Hyperparameters = MetaBaselineHyperparameters

    def __init__(self, task: TaskSpec, hyper: MetaBaselineHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self.temperature = nn.Parameter(torch.tensor(float(self.hyper.temperature)))

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Average each class: ``[B, Q, d] -> [B, Q, way]`` logits."""
        centroids = class_means(support)

        def predict(query: Tensor) -> Tensor:
            return self.temperature * cosine(query, centroids)

        return predict
