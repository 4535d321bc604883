"""ADKF-IFT: a deep kernel whose hyperparameters are fitted to each task."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from metabench.learners.contracts import (
    Algorithm,
    Hyperparameters,
    Predictor,
    Query,
    Support,
    TaskSpec,
    bounded,
    one_hot,
)
from metabench_algorithms.shared.distance import squared_euclidean
from metabench_algorithms.shared.evidence import Evidence, spread
from metabench_algorithms.shared.process import log_density, matern, rbf, solve, with_noise

NOISE_OF_LABELS = 0.1
NOISE_OF_VALUES = 0.01


@dataclass(frozen=True, kw_only=True)
class ADKFIFTHyperparameters(Hyperparameters):
    """Settings of the process, from the released code of Chen et al. (2023).

    Adam at 1e-4 with 16 tasks a step for up to 10,000 steps there; budgets here are smaller, so
    rate and batch are the loop's.

    Attributes:
        kernel: ``matern``, Matern 5/2, or ``rbf``; one length scale.
        length_scale_prior: Standard deviation of the log-normal prior of the length scale, whose
            mode is the root of half the median squared distance in the support set.
        signal_prior: The same of the signal variance, whose mode is 1. They have none; 2 is ours,
            weak, and keeps the optimum finite where the embeddings explain nothing.
        noise_prior: The same of the noise variance of values, whose mode is 0.01. That of labels is
            fixed at 0.1.
        clip_norm: Largest norm of the hypergradient.
    """

    kernel: Literal["matern", "rbf"] = "matern"
    length_scale_prior: float = bounded(0.25, above=0)
    signal_prior: float = bounded(2.0, above=0)
    noise_prior: float = bounded(0.25, above=0)
    clip_norm: float = 1.0


class ADKFIFT(Algorithm[Tensor]):
    """Kernel hyperparameters are fitted to the support, the encoder to the queries.

    Chen, Tripp & Hernandez-Lobato (2023), "Meta-learning adaptive deep kernel Gaussian processes
    for molecular property prediction", arXiv:2205.02708, section 3: per task the length scale, the
    signal and the noise variance maximise the marginal likelihood of the support; the encoder is
    trained by the predictive likelihood of the queries at these, with the hypergradient of the
    implicit function theorem.

    Binary labels are regressed as -1 and +1 with mean zero. More classes, which the paper has not,
    are regressed one against the rest, centred, and share their hyperparameters. Values are
    standardised by the support, as in the released code.
    """

    Hyperparameters = ADKFIFTHyperparameters

    def __init__(self, task: TaskSpec, hyper: ADKFIFTHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self._profile = matern if self.hyper.kernel == "matern" else rbf

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Fit the hyperparameters: ``[B, Q, d] -> [B, Q, way]`` posterior means."""
        offset, scale = self._units(support)
        evidence, centre = self._evidence(support, offset, scale)
        phi = evidence.maximise()
        length, signal, _ = spread(phi)
        length = length * centre
        dual = solve(evidence.covariance(phi), evidence.y)

        def predict(query: Tensor) -> Tensor:
            squares = squared_euclidean(query, support.x).double()
            kernel = signal * self._profile(squares / length**2)[0]
            values = ((kernel @ dual) * scale + offset).to(query)
            return self._scores(values)

        return predict

    def loss(self, support: Support[Tensor], query: Query[Tensor]) -> Tensor:
        """Negative log predictive density per query and output, in the units of the support."""
        offset, scale = self._units(support)
        evidence, centre = self._evidence(support, offset, scale)
        phi = evidence.attach(evidence.maximise())
        length, signal, noise = spread(phi)
        length = length * centre
        q, x = query.x.double(), support.x.double()
        cross = signal * self._profile(squared_euclidean(q, x) / length**2)[0]
        prior = with_noise(signal * self._profile(squared_euclidean(q, q) / length**2)[0], noise)
        gain = solve(evidence.covariance(phi), cross.mT)
        error = (self._numbers(query.y, support.way) - offset) / scale - gain.mT @ evidence.y
        density = log_density(prior - cross @ gain, error)
        return -density.mean().to(support.x) / error[0].numel()

    def _evidence(
        self, support: Support[Tensor], offset: Tensor, scale: Tensor
    ) -> tuple[Evidence, Tensor]:
        """The objective of the fit, and the unit ``[B, 1, 1]`` of its length scale."""
        x = support.x.double()
        squares = squared_euclidean(x, x)
        centre = median_scale(squares)
        regression = self.task.kind == "regression"
        noise = NOISE_OF_VALUES if regression else NOISE_OF_LABELS
        hyper = self.hyper
        evidence = Evidence(
            squares=squares / centre**2,
            y=(self._numbers(support.y, support.way) - offset) / scale,
            profile=self._profile,
            mode=(0.0, 0.0, math.log(noise)),
            deviation=(
                hyper.length_scale_prior,
                hyper.signal_prior,
                hyper.noise_prior if regression else 0.0,
            ),
        )
        return evidence, centre

    def _numbers(self, y: Tensor, way: int) -> Tensor:
        """Targets ``[B, n, k]``: labels as -1 and +1, one column for two classes; or values."""
        if self.task.kind == "regression":
            return y.double()
        labels = 2 * one_hot(y, way, torch.float64) - 1
        return labels[..., 1:] if way == 2 else labels  # noqa: PLR2004

    def _units(self, support: Support[Tensor]) -> tuple[Tensor, Tensor]:
        """Offset and scale ``[B, 1, k]`` of the targets."""
        y = self._numbers(support.y, support.way)
        mean = y.mean(1, keepdim=True)
        if self.task.kind != "regression":
            two = support.way == 2  # noqa: PLR2004
            return torch.zeros_like(mean) if two else mean, torch.ones_like(mean)
        scale = y.std(1, correction=0, keepdim=True)
        return mean, torch.where(scale > 0, scale, 1)

    def _scores(self, values: Tensor) -> Tensor:
        """Two classes have one column, whose sign tells them apart."""
        single = self.task.kind != "regression" and values.shape[-1] == 1
        return torch.cat([-values, values], -1) if single else values


def median_scale(squares: Tensor) -> Tensor:
    """``[B, 1, 1]`` root of half the median positive squared distance; 1 if there is none."""
    flat = squares.flatten(1)
    where = torch.where(flat > 0, flat, torch.nan).nanmedian(1, keepdim=True).indices
    median = flat.gather(1, where).unsqueeze(-1)
    return torch.where(median > 0, median / 2, 1).sqrt()
