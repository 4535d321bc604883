"""Gaussian process regression on the support set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from metabench.errors import UsageError
from metabench.learners.contracts import Algorithm, Hyperparameters, Predictor, Support, one_hot
from metabench_algorithms.shared.distance import squared_euclidean, tanimoto_kernel
from metabench_algorithms.shared.marginal import Fit, fit_fixed, fit_scaled

NOISE_OF_LABELS = 0.1
NOISE_OF_VALUES = 0.01


@dataclass(frozen=True, kw_only=True)
class GPHyperparameters(Hyperparameters):
    """Settings of the process.

    The priors are those of ADKF-IFT (Chen et al., 2023, arXiv:2205.02708), whose released code
    centres the length scale on ``sqrt(median squared distance / 2)`` and the noise on 0.1 for
    labels -1 and +1, on 0.01 for standardised values. Without them the likelihood of five examples
    of five classes is largest where no two are alike, and every query is predicted by the mean.

    Attributes:
        kernel: ``rbf``, ``exp(-|a - b|^2 / (2 l^2))`` with one length scale; or ``tanimoto``,
            ``a.b / (|a|^2 + |b|^2 - a.b)``, for non-negative counts, as in their single-task
            process GP-ST.
        length_scale_prior: Standard deviation of the log-normal prior of the length scale, theirs;
            0 means none.
        noise_prior: Standard deviation of the log-normal prior of the ratio of noise to signal
            variance; 0 means none. They use 0.25 for values and fix the noise for labels; 1 is ours
            and lets a large support speak for itself.
    """

    kernel: Literal["rbf", "tanimoto"] = "rbf"
    length_scale_prior: float = 0.25
    noise_prior: float = 1.0


class GP(Algorithm[Tensor]):
    """The posterior mean of a Gaussian process with a constant mean, exactly and per episode.

    Rasmussen & Williams (2006), "Gaussian processes for machine learning", equations 2.25 (the
    predictive mean) and 2.30 (the log marginal likelihood), which, with the log priors, the signal
    variance, the ratio of noise to signal and the length scale of each episode maximise. Classes
    are regressed as labels -1 and +1, one column each (one for two classes), as in DKT (Patacchiola
    et al., 2020, arXiv:1910.05199); columns share the kernel. Labels are centred, values
    standardised per output.
    """

    Hyperparameters = GPHyperparameters

    @torch.no_grad()
    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Fit the kernels: ``[B, Q, d] -> [B, Q, way]`` posterior means."""
        x = support.x.double()
        if self.hyper.kernel == "tanimoto" and bool((x < 0).any()):
            raise UsageError("gp with kernel='tanimoto' needs features that are not negative")
        # The columns of two classes mirror each other: both would count the evidence twice.
        two = self.task.kind != "regression" and support.way == 2  # noqa: PLR2004
        mean, scale, y = self._standardise(support, skip=1 if two else 0)
        fit = self.fit(x, y)

        def predict(query: Tensor) -> Tensor:
            q = query.double()
            if self.hyper.kernel == "tanimoto":
                kernel = tanimoto_kernel(q, x)
            else:
                kernel = (squared_euclidean(q, x) / (-2 * fit.length_scale**2)).exp()
            values = ((kernel @ fit.dual) * scale + mean).to(query)
            return torch.cat([-values, values], -1) if two else values

        return predict

    def fit(self, x: Tensor, y: Tensor) -> Fit:
        """Maximise the penalised marginal likelihood of each episode.

        Args:
            x: ``[B, S, d]`` support examples.
            y: ``[B, S, k]`` centred targets.

        Returns:
            The hyperparameters and what prediction needs.
        """
        noise = NOISE_OF_VALUES if self.task.kind == "regression" else NOISE_OF_LABELS
        if self.hyper.kernel == "tanimoto":
            return fit_fixed(tanimoto_kernel(x, x), y, noise, self.hyper.noise_prior)
        return fit_scaled(
            squared_euclidean(x, x),
            y,
            noise,
            length_scale_prior=self.hyper.length_scale_prior,
            noise_prior=self.hyper.noise_prior,
        )

    def _standardise(self, support: Support[Tensor], skip: int) -> tuple[Tensor, Tensor, Tensor]:
        """Means and scales ``[B, 1, k]`` and standard targets ``[B, S, k]``, ``k = way - skip``."""
        if self.task.kind != "regression":
            labels = 2 * one_hot(support.y, support.way, torch.float64)[..., skip:] - 1
            mean = labels.mean(1, keepdim=True)
            return mean, torch.ones_like(mean), labels - mean
        values = support.y.double()
        mean = values.mean(1, keepdim=True)
        scale = values.std(1, correction=0, keepdim=True)
        scale = torch.where(scale > 0, scale, 1)
        return mean, scale, (values - mean) / scale
