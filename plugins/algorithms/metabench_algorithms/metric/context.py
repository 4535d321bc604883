"""Full context embeddings of matching networks (Vinyals et al., 2016, appendix A).

Hidden states have the width ``d`` of the embeddings, because both networks add a skip connection.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SupportContext(nn.Module):
    """``g``: a bidirectional LSTM over the support, plus its input (appendix A.2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, batch_first=True, bidirectional=True)

    def forward(self, support: Tensor) -> Tensor:
        """``[B, S, d] -> [B, S, d]``: forward state + backward state + input."""
        states, _ = self.lstm(support)
        forward, backward = states.chunk(2, -1)
        return torch.as_tensor(forward + backward + support)


class QueryContext(nn.Module):
    """``f``: an LSTM that reads the support by attention ``steps`` times (appendix A.1).

    Equations 3 to 6, with ``h_0 = c_0 = 0``::

        r_{k-1} = sum_i softmax_i(h_{k-1} . g(x_i)) g(x_i)
        h^_k, c_k = LSTM(f'(q), [h_{k-1}, r_{k-1}], c_{k-1})
        h_k = h^_k + f'(q)
    """

    def __init__(self, width: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.from_input = nn.Linear(width, 4 * width)
        self.from_state = nn.Linear(2 * width, 4 * width, bias=False)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        """``[B, Q, d]`` queries and ``[B, S, d]`` context-embedded support to ``[B, Q, d]``."""
        fixed = self.from_input(query)
        hidden, cell = torch.zeros_like(query), torch.zeros_like(query)
        for _ in range(self.steps):
            read = (hidden @ memory.transpose(1, 2)).softmax(-1) @ memory
            gates = fixed + self.from_state(torch.cat([hidden, read], -1))
            keep, admit, emit, new = gates.chunk(4, -1)
            cell = keep.sigmoid() * cell + admit.sigmoid() * new.tanh()
            hidden = emit.sigmoid() * cell.tanh() + query
        return hidden
