"""Blocks of SNAIL: a causal network that reads a sequence once and then many last steps of it.

``read`` goes over the support ``[B, S, c]`` and returns it with new channels, and what a later step
needs of it. ``ask`` does the same for ``Q`` alternative next steps ``[B, Q, c]``: each comes right
after the support and sees no other. The result is that of ``Q`` separate sequences.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Memory = tuple[Tensor, ...]


class AttentionBlock(nn.Module):
    """Appends what causal attention reads: Mishra et al. (2018), figure 2 and appendix.

    Args:
        width: Channels of the input.
        keys: Length of keys and queries.
        values: Channels that are appended.
    """

    def __init__(self, width: int, keys: int, values: int) -> None:
        super().__init__()
        self.sizes = (keys, keys, values)
        self.maps = nn.Linear(width, sum(self.sizes))
        self.out_features = width + values

    def read(self, x: Tensor) -> tuple[Tensor, Memory]:
        """Let each step look at those before it and at itself."""
        query, key, value = self.maps(x).split(self.sizes, -1)
        found = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return torch.cat([x, found], -1), (key, value)

    def ask(self, x: Tensor, memory: Memory) -> Tensor:
        """Let each of the next steps look at the support and at itself."""
        key, value = memory
        query, own_key, own_value = self.maps(x).split(self.sizes, -1)
        others, own = query @ key.mT, (query * own_key).sum(-1, keepdim=True)
        weights = (torch.cat([others, own], -1) / key.shape[-1] ** 0.5).softmax(-1)
        found = weights[..., :-1] @ value + weights[..., -1:] * own_value
        return torch.cat([x, found], -1)


class DenseBlock(nn.Module):
    """Appends a gated causal convolution of kernel size 2: Mishra et al. (2018), figure 2.

    Args:
        width: Channels of the input.
        dilation: Distance of the earlier step that a step sees.
        filters: Channels that are appended.
    """

    def __init__(self, width: int, dilation: int, filters: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.convolution = nn.Linear(2 * width, 2 * filters)
        self.out_features = width + filters

    def read(self, x: Tensor) -> tuple[Tensor, Memory]:
        """Combine each step with an earlier one; before the first there are zeros."""
        earlier = F.pad(x, (0, 0, self.dilation, 0))
        return self._combine(x, earlier[:, : x.shape[1]]), (earlier[:, x.shape[1], None],)

    def ask(self, x: Tensor, memory: Memory) -> Tensor:
        """Combine each of the next steps with the same earlier one."""
        return self._combine(x, memory[0])

    def _combine(self, now: Tensor, earlier: Tensor) -> Tensor:
        before, weight = self.convolution.weight.chunk(2, -1)
        mixed = F.linear(now, weight, self.convolution.bias) + F.linear(earlier, before)
        signal, gate = mixed.chunk(2, -1)
        return torch.cat([now, signal.tanh() * gate.sigmoid()], -1)


Block = AttentionBlock | DenseBlock
