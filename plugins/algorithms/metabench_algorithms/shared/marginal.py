"""The log marginal likelihood of Gaussian processes, maximised for a batch of episodes at once.

With ``K = s^2 (R + r I)``, ``R`` the kernel of unit variance and ``r`` the ratio of noise to signal
variance, an eigendecomposition of ``R`` gives the likelihood of every ``r`` at the cost of a sum,
and the best ``s^2`` is a mean (Rasmussen & Williams, 2006, section 5.4.1, equation 5.8). So only
the length scale needs a search that is dear: a grid about the median distance, then bisection.
Each episode is searched by itself; of equally good points the first is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

RATIOS = (1e-4, 1e2)
"""The range of noise to signal variance."""
FACTORS = 2.0
"""Octaves about the centre in which the length scale is searched; finer steps may go one beyond."""
HALVINGS = 3
ZOOMS = 4
EQUALLY_GOOD = 1e-9


@dataclass(frozen=True)
class Fit:
    """Fitted processes.

    Attributes:
        dual: ``[B, S, k]``, ``(R + r I)^-1 y``: the kernel times it is the posterior mean.
        ratio: ``[B, 1, 1]`` noise variance over signal variance.
        signal: ``[B, 1, 1]`` signal variance ``s^2``.
        length_scale: ``[B, 1, 1]``; 1 for a kernel that has none.
        likelihood: ``[B]`` log marginal likelihood, the sum over the outputs.
        objective: ``[B]`` that plus the log priors.
    """

    dual: Tensor
    ratio: Tensor
    signal: Tensor
    length_scale: Tensor
    likelihood: Tensor
    objective: Tensor


def fit_fixed(kernel: Tensor, y: Tensor, noise: float, noise_prior: float) -> Fit:
    """Fit signal and noise variance of a kernel without parameters.

    Args:
        kernel: ``[B, S, S]``, positive semi-definite.
        y: ``[B, S, k]`` targets of mean zero.
        noise: Mode of the prior of the ratio of noise to signal.
        noise_prior: Its standard deviation in logarithms; 0 means no prior.

    Returns:
        The fit with the largest objective.
    """
    values, vectors = torch.linalg.eigh(kernel)
    values, rotated = values.clamp_min(0), vectors.mT @ y
    spread = math.log(RATIOS[1] / RATIOS[0])
    steps = torch.linspace(0, 1, 13, dtype=y.dtype, device=y.device)
    logs = (math.log(RATIOS[0]) + spread * steps).expand(len(y), -1)
    width = spread / 12
    for zoom in range(ZOOMS):
        score = _objective(values, rotated, logs, noise, noise_prior)
        best = logs.gather(1, first_best(score).unsqueeze(1))
        if zoom < ZOOMS - 1:
            around = torch.linspace(-1, 1, 9, dtype=y.dtype, device=y.device)
            logs = (best + width * around).clamp(math.log(RATIOS[0]), math.log(RATIOS[1]))
            width /= 4
    ratio = best.exp().unsqueeze(-1)
    likelihood = _objective(values, rotated, best, noise, 0.0).squeeze(1)
    signal = _signal(values, rotated, best).unsqueeze(-1)
    return Fit(
        dual=vectors @ (rotated / (values.unsqueeze(-1) + ratio)),
        ratio=ratio,
        signal=signal,
        length_scale=torch.ones_like(ratio),
        likelihood=likelihood,
        objective=_objective(values, rotated, best, noise, noise_prior).squeeze(1),
    )


def fit_scaled(
    squares: Tensor, y: Tensor, noise: float, *, length_scale_prior: float, noise_prior: float
) -> Fit:
    """Fit an RBF kernel.

    Args:
        squares: ``[B, S, S]`` squared distances.
        y: ``[B, S, k]`` targets of mean zero.
        noise: As in `fit_fixed`.
        length_scale_prior: Standard deviation, in logarithms, of the prior of the length scale,
            whose mode is ``centre(squares)``; 0 means no prior.
        noise_prior: As in `fit_fixed`.

    Returns:
        The fit with the largest objective found.
    """
    middle = centre(squares)
    best: Fit | None = None

    def consider(octaves: Tensor) -> Fit:
        length = middle * 2.0**octaves
        found = fit_fixed((squares / (-2 * length**2)).exp(), y, noise, noise_prior)
        prior = _log_prior((octaves * math.log(2)).flatten(), length_scale_prior)
        objective = found.objective + prior
        found = Fit(**{**vars(found), "length_scale": length, "objective": objective})
        return found if best is None else _better(best, found)

    steps = torch.arange(-FACTORS, FACTORS + 0.5, dtype=y.dtype, device=y.device)
    for octave in sorted(steps.tolist(), key=abs):
        best = consider(torch.full_like(middle, octave))
    assert best is not None
    width = 1.0
    for _ in range(HALVINGS):
        width /= 2
        at = (best.length_scale / middle).log2()
        for side in (-width, width):
            best = consider(at + side)
    return best


def centre(squares: Tensor) -> Tensor:
    """``[B, 1, 1]`` root of half the median positive squared distance; 1 if there is none."""
    positive = torch.where(squares > 0, squares, torch.nan).flatten(1)
    median = positive.nanmedian(1).values.view(-1, 1, 1)
    return torch.where(median > 0, (median / 2).sqrt(), 1)


def first_best(score: Tensor) -> Tensor:
    """Index of the largest value of each row; of those that only rounding tells apart the first."""
    top = score.amax(-1, keepdim=True)
    return (score >= top - EQUALLY_GOOD * top.abs().clamp_min(1)).int().argmax(-1)


def _better(old: Fit, new: Fit) -> Fit:
    """Choose per episode; the old one unless the new one is better by more than rounding."""
    gain = new.objective - old.objective
    take = gain > EQUALLY_GOOD * old.objective.abs().clamp_min(1)
    chosen = {
        name: torch.where(take.view(-1, *[1] * (value.dim() - 1)), vars(new)[name], value)
        for name, value in vars(old).items()
    }
    return Fit(**chosen)


def _signal(values: Tensor, rotated: Tensor, logs: Tensor) -> Tensor:
    """Best signal variance ``[B, n]`` for eigenvalues ``[B, S]`` and log ratios ``[B, n]``."""
    inverse = 1 / (values.unsqueeze(1) + logs.exp().unsqueeze(-1))
    quadratic = inverse @ rotated.square().sum(-1, keepdim=True)
    signal = quadratic.squeeze(-1) / rotated[0].numel()
    return signal.clamp_min(1e-12)  # targets without any spread have no scale


def _objective(
    values: Tensor, rotated: Tensor, logs: Tensor, noise: float, noise_prior: float
) -> Tensor:
    """Log marginal likelihood plus log prior ``[B, n]`` at log ratios ``[B, n]``.

    Args:
        values: ``[B, S]`` eigenvalues of the kernel.
        rotated: ``[B, S, k]`` targets in its eigenvectors.
        logs: Logarithms of the ratio of noise to signal.
        noise: Mode of the prior.
        noise_prior: Its standard deviation; 0 means no prior.
    """
    size, outputs = rotated.shape[1:]
    signal = _signal(values, rotated, logs)
    determinant = (values.unsqueeze(1) + logs.exp().unsqueeze(-1)).log().sum(-1)
    constant = size * (1 + math.log(2 * math.pi))
    fit = -outputs / 2 * (size * signal.log() + determinant + constant)
    return fit + _log_prior(logs - math.log(noise), noise_prior)


def _log_prior(away: Tensor, deviation: float) -> Tensor:
    """Log-normal density up to a constant, ``away`` being the logarithm's distance to its mode."""
    return -0.5 * (away / deviation).square() if deviation else torch.zeros_like(away)
