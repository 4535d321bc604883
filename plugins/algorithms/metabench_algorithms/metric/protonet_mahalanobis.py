"""The prototypical network of FS-Mol: two layers and the Mahalanobis distance."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from metabench.learners.contracts import (
    Algorithm,
    Hyperparameters,
    Predictor,
    Support,
    TaskSpec,
    bounded,
)
from metabench_algorithms.metric.mahalanobis import mahalanobis


@dataclass(frozen=True, kw_only=True)
class ProtoNetMahalanobisHyperparameters(Hyperparameters):
    """Settings of the released FS-Mol code, which trains with Adam at 0.001.

    Attributes:
        hidden: Width of the layer between the features and the metric space (1024).
        metric_width: Width of the metric space (512).
        most_own: Largest weight of a class's own covariance (0.1).
        ridge: Added to the diagonal of each covariance (0.1).
        clip_norm: 1.
        meta_batch: They take 16 tasks a step for 10,000 steps; budgets here are smaller and 4 is
            ours.
    """

    hidden: int = bounded(1024, least=1)
    metric_width: int = bounded(512, least=1)
    most_own: float = bounded(0.1, least=0, most=1)
    ridge: float = bounded(0.1, above=0)
    clip_norm: float = 1.0
    meta_batch: int = 4


class ProtoNetMahalanobis(Algorithm[Tensor]):
    """Nearest prototype by Mahalanobis distance, behind two layers.

    Stanley, Bronskill, Maziarz, Misztela, Lanini, Segler, Schneider & Brockschmidt (2021), "FS-Mol:
    a few-shot learning dataset of molecules", NeurIPS datasets and benchmarks, section 4.2 and
    released code: features go through two layers, and the distance is that of Simple CNAPS (Bateni
    et al., 2020) with other constants. There the features are a graph network and a fingerprint;
    here they are whatever the encoder gives. A class with one example has no covariance of its
    own; the released code puts the variance over features there.
    """

    Hyperparameters = ProtoNetMahalanobisHyperparameters

    def __init__(
        self, task: TaskSpec, hyper: ProtoNetMahalanobisHyperparameters | None = None
    ) -> None:
        super().__init__(task, hyper)
        self.layers = nn.Sequential(
            nn.Linear(task.width, self.hyper.hidden),
            nn.ReLU(),
            nn.Linear(self.hyper.hidden, self.hyper.metric_width),
        )

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Fit means and covariances: ``[B, Q, d] -> [B, Q, way]`` logits."""
        mapped = Support(self.layers(support.x), support.y, support.way)
        score = mahalanobis(mapped, most_own=self.hyper.most_own, ridge=self.hyper.ridge)

        def predict(query: Tensor) -> Tensor:
            return score(self.layers(query))

        return predict
