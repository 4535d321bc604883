"""DKT: a Gaussian process whose kernel is meta-learned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.learners.contracts import (
    Algorithm,
    Hyperparameters,
    Predictor,
    Query,
    Support,
    TaskSpec,
    one_hot,
)
from metabench_algorithms.shared.compare import unit
from metabench_algorithms.shared.distance import squared_euclidean
from metabench_algorithms.shared.process import log_density, rbf, solve, with_noise
from metabench_algorithms.shared.targets import TargetScale

NOISE_OF_LABELS = 0.1
LEAST_NOISE = 1e-4


@dataclass(frozen=True, kw_only=True)
class DKTHyperparameters(Hyperparameters):
    """Settings of the process, from Patacchiola et al. (2020) and the released code.

    Encoder and process are trained by Adam at 1e-3; for classes they train the process at 1e-4.

    Attributes:
        kernel: ``cossim``, the cosine, ``linear``, the product, or ``rbf``, all released.
            ``None`` is the cosine for classes and RBF in regression, where the product of two
            embeddings would make the function linear.
        batch_norm: Normalise embeddings by their statistics in meta-training first. With the
            cosine this is the ``bncossim`` of the released code; for RBF it puts any encoder's
            embeddings into reach of one length scale, and is ours.
    """

    kernel: Literal["cossim", "linear", "rbf"] | None = None
    batch_norm: bool = True


class DKT(Algorithm[Tensor]):
    """Encoder and kernel are meta-trained by the marginal likelihood of whole tasks.

    Patacchiola, Turner, Crowley, O'Boyle & Storkey (2020), "Bayesian meta-learning for the few-shot
    setting via deep kernels", arXiv:1910.05199, section 3: the loss is the negative log marginal
    likelihood of support and query together. Predictions are posterior means given the support;
    nothing else adapts. Classes are regressed one against the rest as -1 and +1, with a noise
    variance of 0.1 (released code).

    Departures: the released code gives each class index a process of its own; here all share the
    mean, the signal variance and the kernel, so relabelling permutes the scores. Regression is
    learned in units of the meta-train targets seen so far.
    """

    Hyperparameters = DKTHyperparameters

    def __init__(self, task: TaskSpec, hyper: DKTHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self._regression = task.kind == "regression"
        self._kernel = self.hyper.kernel or ("rbf" if self._regression else "cossim")
        self.norm = nn.BatchNorm1d(task.width) if self.hyper.batch_norm else None
        self.mean = nn.Parameter(torch.zeros(()))
        self.raw_signal = nn.Parameter(torch.zeros(()))
        if self._kernel == "rbf":
            self.raw_length = nn.Parameter(torch.zeros(()))
        if self._regression:
            self.raw_noise = nn.Parameter(torch.zeros(()))
        self.targets = TargetScale(task)

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Condition on the support: ``[B, Q, d] -> [B, Q, way]`` posterior means."""
        x = self._features(support.x, learn=False)
        covariance = with_noise(self.kernel(x, x), self.noise)
        dual = solve(covariance, self._numbers(support.y, support.way) - self.mean.double())

        def predict(query: Tensor) -> Tensor:
            kernel = self.kernel(self._features(query, learn=False), x)
            values = (kernel @ dual + self.mean).to(query)
            return self.targets.decode(values)

        return predict

    def loss(self, support: Support[Tensor], query: Query[Tensor]) -> Tensor:
        """Negative log marginal likelihood per example and output, in standard units."""
        self.targets.update(support.y, query.y)
        x = self._features(torch.cat([support.x, query.x], 1), learn=True)
        y = self._numbers(torch.cat([support.y, query.y], 1), support.way) - self.mean.double()
        density = log_density(with_noise(self.kernel(x, x), self.noise), y)
        return -density.mean().to(support.x) / y[0].numel()

    @property
    def noise(self) -> Tensor | float:
        """The noise variance: learned in regression, fixed for labels."""
        if not self._regression:
            return NOISE_OF_LABELS
        return F.softplus(self.raw_noise.double()) + LEAST_NOISE

    def kernel(self, left: Tensor, right: Tensor) -> Tensor:
        """``[B, n, d]`` and ``[B, m, d]`` features to ``[B, n, m]`` covariances."""
        signal = F.softplus(self.raw_signal.double())
        if self._kernel == "rbf":
            # The distance of two features of unit variance grows as the root of their number.
            length = F.softplus(self.raw_length.double()) * math.sqrt(left.shape[-1])
            return signal * rbf(squared_euclidean(left, right) / length.square())[0]
        return signal * (left @ right.mT)

    def _features(self, x: Tensor, *, learn: bool) -> Tensor:
        """What the kernel compares, float64; only in training are statistics the batch's."""
        if self.norm is not None:
            rows = x.flatten(0, 1)
            if learn:
                rows = self.norm(rows)
            else:
                n = self.norm
                rows = F.batch_norm(rows, n.running_mean, n.running_var, n.weight, n.bias)
            x = rows.view_as(x)
        x = x.double()
        return unit(x) if self._kernel == "cossim" else x

    def _numbers(self, y: Tensor, way: int) -> Tensor:
        """Targets ``[B, n, way]``: labels as -1 and +1, values in standard units."""
        if self._regression:
            return self.targets.encode(y.double())
        return 2 * one_hot(y, way, torch.float64) - 1
