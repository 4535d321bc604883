"""An encoder and an algorithm put together, and how the pair sees a batch of episodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from metabench.learners.contracts import Algorithm, Encoder, Inputs, Query, Support
from metabench.learners.device import Compute, take
from metabench.tasks.sampler import EpisodeBatch

EMBED_BATCH = 256


class Embedded(Encoder):
    """Stands where a frozen encoder was: its inputs are embeddings already."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the stored embeddings."""
        return inputs["embedding"]


@dataclass(frozen=True)
class Problem:
    """One source as a learner sees it: prepared inputs on the device.

    Attributes:
        inputs: Prepared inputs of all examples; ``{"embedding": [n, d]}`` for a frozen encoder.
        compute: Device and precision.
    """

    inputs: Mapping[str, Tensor]
    compute: Compute

    def index(self, array: Any) -> Tensor:
        """Return an index array as a tensor on the device."""
        return torch.as_tensor(array, device=self.compute.device)


class FewShotModel(nn.Module):
    """Encoder and algorithm.

    Args:
        encoder: The encoder, whose parameters this module owns.
        algorithm: The algorithm.
        adapts_encoder: Whether the algorithm takes raw inputs.
    """

    def __init__(
        self, encoder: Encoder, algorithm: Algorithm[Any], *, adapts_encoder: bool
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.algorithm = algorithm
        self.adapts_encoder = adapts_encoder

    def embed(self, problem: Problem, items: Tensor) -> Tensor:
        """Embed examples with gradients: ``[n]`` indices to ``[n, d]`` float32."""
        with problem.compute.autocast():
            features: Tensor = self.encoder(take(problem.inputs, items))
        return features.float()

    def embed_all(self, problem: Problem, items: Tensor) -> Tensor:
        """Embed examples without gradients, a batch at a time, in the order given."""
        if isinstance(self.encoder, Embedded):
            return problem.inputs["embedding"][items]
        with torch.inference_mode():
            parts = [self.embed(problem, part) for part in torch.split(items, EMBED_BATCH)]
            return torch.cat(parts)

    def loss(self, problem: Problem, batch: EpisodeBatch) -> Tensor:
        """Return the algorithm's meta-training loss on a batch of episodes."""
        support, query = problem.index(batch.support), problem.index(batch.query)
        support_y = problem.index(batch.support_targets)
        query_y = problem.index(batch.query_targets)
        if self.adapts_encoder:
            with problem.compute.autocast():
                return self.algorithm.loss(
                    Support(take(problem.inputs, support), support_y, batch.way),
                    Query(take(problem.inputs, query), query_y),
                )
        both = torch.cat([support, query], dim=1)
        features = self.embed(problem, both.flatten()).reshape(*both.shape, -1)
        x, asked = features[:, : support.shape[1]], features[:, support.shape[1] :]
        return self.algorithm.loss(Support(x, support_y, batch.way), Query(asked, query_y))


def embed_source(encoder: Encoder, inputs: Inputs, meta_train: Tensor, compute: Compute) -> Tensor:
    """Prepare and embed every example of a source with a frozen encoder.

    Args:
        encoder: The encoder.
        inputs: The source's inputs.
        meta_train: Indices of the meta-train examples.
        compute: Device and precision.

    Returns:
        ``[n, d]`` float32 embeddings on the host.
    """
    prepared = encoder.prepare(inputs, meta_train)
    encoder = encoder.to(compute.device).eval()
    count = len(next(iter(prepared.values())))
    parts = []
    with torch.inference_mode(), compute.autocast():
        for part in torch.split(torch.arange(count), EMBED_BATCH):
            embedded: Tensor = encoder(compute.place(take(prepared, part)))
            parts.append(embedded.float().cpu())
    return torch.cat(parts)


def parameter_count(module: nn.Module) -> int:
    """Return the number of weights."""
    return sum(parameter.numel() for parameter in module.parameters())
