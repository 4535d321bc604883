"""Inner step sizes that are meta-learned along with the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn


class Rates(nn.Module):
    """One tensor of step sizes per adapted weight.

    Args:
        weights: The adapted weights, by name.
        initial: Gives the first step sizes for a weight.
    """

    def __init__(self, weights: Mapping[str, Tensor], initial: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._number = {name: number for number, name in enumerate(weights)}
        self.values = nn.ParameterList(
            nn.Parameter(initial(w.detach()).contiguous()) for w in weights.values()
        )

    def forward(self, name: str) -> Tensor:
        """Return the step sizes of a weight."""
        found: Tensor = self.values[self._number[name]]
        return found
