"""The relation module of relation networks (Sung et al., 2018, figure 2 and section 3.4)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PAIRS = 2048
"""Most pairs of a query and a class that are compared at once in evaluation."""


class RelationModule(nn.Module):
    """Two blocks of convolution, batch norm, ReLU and max-pooling; then two linear layers.

    The first convolution of a concatenated pair is the sum of two convolutions, one of the class
    and one of the query, so each is computed once and not once per pair. ReLU and maximum commute.

    Args:
        shape: Channels and positions of what is compared: ``(d,)``, ``(C, T)`` or ``(C, H, W)``.
            A vector gets layers of the same widths that are linear.
        channels: Filters of each block.
        hidden: Width of the first linear layer.
        batch_statistics: Normalise by the statistics of an episode's pairs in evaluation as well.
    """

    def __init__(
        self, shape: tuple[int, ...], *, channels: int, hidden: int, batch_statistics: bool
    ) -> None:
        super().__init__()
        self.shape = (*shape, 1, 1)[:3]
        self.batch_statistics = batch_statistics
        kernel = 1 if len(shape) == 1 else 3
        convolve = partial(nn.Conv2d, kernel_size=kernel, padding=kernel // 2)
        self.of_class = convolve(self.shape[0], channels)
        self.of_query = convolve(self.shape[0], channels, bias=False)
        self.second = convolve(channels, channels)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(2))
        high, wide = (max(1, max(1, size // 2) // 2) for size in self.shape[1:])
        self.head = nn.Sequential(
            nn.Linear(channels * high * wide, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, classes: Tensor, queries: Tensor) -> Tensor:
        """``[way, *shape]`` classes and ``[Q, *shape]`` queries of one episode to ``[Q, way]``."""
        one = self.of_class(classes.reshape(-1, *self.shape))
        other = self.of_query(queries.reshape(-1, *self.shape))
        whole = self.training or self.batch_statistics
        parts = torch.split(other, len(other) if whole else max(1, PAIRS // len(one)))
        return torch.cat([self._relate(one, part) for part in parts])

    def _relate(self, one: Tensor, other: Tensor) -> Tensor:
        pairs = (other.unsqueeze(1) + one).flatten(0, 1)
        for norm, convolution in zip(self.norms, (self.second, None), strict=True):
            pairs = F.relu(pool(self._normalise(norm, pairs)))
            if convolution is not None:
                pairs = convolution(pairs)
        return torch.as_tensor(self.head(pairs.flatten(1))).reshape(len(other), len(one))

    def _normalise(self, norm: nn.Module, x: Tensor) -> Tensor:
        if self.batch_statistics and not self.training:
            weight, bias = norm.get_parameter("weight"), norm.get_parameter("bias")
            return F.batch_norm(x, None, None, weight, bias, training=True)
        return torch.as_tensor(norm(x))


def pool(x: Tensor) -> Tensor:
    """2 x 2 max-pooling; an axis of one position stays."""
    return F.max_pool2d(x, [min(2, size) for size in x.shape[-2:]])
