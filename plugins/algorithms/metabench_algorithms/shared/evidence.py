"""The kernel hyperparameters that maximise the evidence, and their derivatives by the embeddings.

A point is ``phi = (log length scale, log signal variance, log noise variance)``, ``[B, 3]``, and
the covariance ``s R + n I``. Its penalised evidence is the log marginal likelihood plus log-normal
priors; gradient and Hessian (Rasmussen & Williams, 2006, equation 5.9, and its derivative) are
written out, so that the gradient can itself be differentiated by the embeddings. At the optimum
``g(phi, theta) = 0`` the implicit function theorem gives ``dphi/dtheta = -H^-1 dg/dtheta``
(Chen et al., 2023, arXiv:2205.02708, equation 5; Lorraine et al., 2020, arXiv:1911.02590).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metabench_algorithms.shared.process import Profile, log_density, with_noise

STEPS = 30
HALVINGS = 8
LONGEST = 1.0
"""Of a step, in logarithms."""
CONVERGED = 1e-7
LEAST_CURVATURE = 1e-6


@dataclass(frozen=True)
class Evidence:
    """What a batch of support sets says about the hyperparameters.

    Attributes:
        squares: ``[B, S, S]`` squared distances, in units in which the prior's length scale is 1.
        y: ``[B, S, k]`` targets of mean zero.
        profile: The kernel.
        mode: ``phi`` at the mode of the priors, three numbers.
        deviation: Standard deviation of each prior in logarithms; those with 0 are kept at the
            mode.
    """

    squares: Tensor
    y: Tensor
    profile: Profile
    mode: tuple[float, float, float]
    deviation: tuple[float, float, float]

    def covariance(self, phi: Tensor) -> Tensor:
        """``[B, S, S]`` covariance of the targets."""
        length, signal, noise = spread(phi)
        return with_noise(signal * self.profile(self.squares / length.square())[0], noise)

    def value(self, phi: Tensor) -> Tensor:
        """``[B]`` penalised evidence, up to a constant."""
        mode, precision = self._prior(phi)
        prior = -0.5 * (precision * (phi - mode).square()).sum(-1)
        return log_density(self.covariance(phi), self.y) + prior

    def derivatives(self, phi: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient ``[B, 3]`` and Hessian ``[B, 3, 3]`` of ``value``."""
        length, signal, noise = spread(phi)
        shape, first, second = (signal * part for part in self.profile(self.squares / length**2))
        covariance = with_noise(shape, noise)
        noise_part = with_noise(torch.zeros_like(shape), noise)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
        by = torch.stack([first, shape, noise_part], 1)  # [B, 3, S, S]
        nothing = torch.zeros_like(shape)
        twice = torch.stack([second, first, nothing, shape, nothing, noise_part], 1)
        columns = self.y.shape[-1]
        dual = inverse @ self.y
        outer = dual @ dual.mT
        change = inverse.unsqueeze(1) @ by
        gradient = 0.5 * ((outer - columns * inverse).unsqueeze(1) * by).sum((2, 3))
        moved = by @ dual.unsqueeze(1)  # [B, 3, S, k]
        quadratic = torch.einsum("bisk,bjsk->bij", moved, inverse.unsqueeze(1) @ moved)
        traces = torch.einsum("bist,bjts->bij", change, change)
        direct = 0.5 * ((outer - columns * inverse).unsqueeze(1) * twice).sum((2, 3))
        order = torch.tensor([[0, 1, 2], [1, 3, 4], [2, 4, 5]], device=phi.device)
        hessian = direct[:, order] - quadratic + columns / 2 * traces
        mode, precision = self._prior(phi)
        return gradient - precision * (phi - mode), hessian - torch.diag(precision)

    @torch.no_grad()
    def maximise(self) -> Tensor:
        """``[B, 3]`` optimum by Newton's method from the mode of the priors.

        Directions of negative curvature are climbed too. An episode that has converged is left
        alone, so none depends on its neighbours.
        """
        free = self._free()
        mode, _ = self._prior(self.y)
        phi = mode.expand(len(self.y), -1)
        value = self.value(phi)
        active = torch.ones_like(value, dtype=torch.bool)
        for _ in range(STEPS):
            gradient, hessian = self.derivatives(phi)
            active = active & (gradient[:, :free].abs().amax(-1) > CONVERGED)
            if not active.any():
                break
            curvature, axes = torch.linalg.eigh(hessian[:, :free, :free])
            along = (axes.mT @ gradient[:, :free, None]).squeeze(-1)
            along = along / curvature.abs().clamp_min(LEAST_CURVATURE)
            step = torch.zeros_like(phi)
            step[:, :free] = (axes @ along.unsqueeze(-1)).squeeze(-1)
            step = step * (LONGEST / step.norm(dim=-1, keepdim=True)).clamp_max(1)
            bound = value - 10 * torch.finfo(value.dtype).eps * value.abs()
            for _ in range(HALVINGS):
                trial = phi + step
                new = self.value(trial)
                worse = active & ~(new >= bound)
                if not worse.any():
                    break
                step = torch.where(worse.unsqueeze(-1), step / 2, step)
            active = active & (new >= bound)
            phi = torch.where(active.unsqueeze(-1), trial, phi)
            value = torch.where(active, new, value)
        return phi

    def attach(self, phi: Tensor) -> Tensor:
        """Give an optimum its derivative by whatever ``squares`` and ``y`` depend on.

        The result differs from ``phi`` by a Newton step of the size of rounding.
        """
        free = self._free()
        gradient, hessian = self.derivatives(phi)
        step = torch.linalg.solve(hessian[:, :free, :free].detach(), -gradient[:, :free])
        return phi + torch.nn.functional.pad(step, (0, 3 - free))

    def _free(self) -> int:
        return sum(deviation > 0 for deviation in self.deviation)

    def _prior(self, like: Tensor) -> tuple[Tensor, Tensor]:
        precision = [1 / deviation**2 if deviation else 0.0 for deviation in self.deviation]
        return like.new_tensor(self.mode), like.new_tensor(precision)


def spread(phi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Length scale, signal and noise variance, each ``[B, 1, 1]``, of points ``[B, 3]``."""
    length, signal, noise = phi.exp().view(-1, 3, 1, 1).unbind(1)
    return length, signal, noise
