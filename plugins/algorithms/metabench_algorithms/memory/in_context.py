"""In-context learning: a transformer reads the support and answers each query."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

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
    bounded,
    one_hot,
)
from metabench_algorithms.memory.cnp import layers
from metabench_algorithms.shared.compare import class_logsumexp
from metabench_algorithms.shared.targets import TargetScale

AT_ONCE = 2**15  # tokens in one pass
LEAST_DEVIATION = 0.05


@dataclass(frozen=True, kw_only=True)
class InContextHyperparameters(Hyperparameters):
    """Settings of a transformer of the size of TNP's (Nguyen & Grover, 2022), as released.

    Theirs is 64 wide with 6 layers, feed-forward layers of 128 and 4 heads; budgets here are
    smaller, so it is wider and less deep.

    Attributes:
        hidden: Width of a token.
        depth: Number of layers.
        heads: Attention heads (4).
        expansion: Width of the feed-forward layers by that of a token (2).
        clip_norm: 1, as in PFNs (Müller et al., 2022), as released.
    """

    hidden: int = bounded(128, least=1)
    depth: int = bounded(2, least=1)
    heads: int = bounded(4, least=1)
    expansion: int = bounded(2, least=1)
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        """Refuse heads of unequal width."""
        super().__post_init__()
        if self.hidden % self.heads:
            raise ValueError(f"hidden={self.hidden} must be a multiple of heads={self.heads}")


class Layer(nn.Module):
    """A pre-norm transformer layer, in which tokens look at a context and not at one another."""

    def __init__(self, hyper: InContextHyperparameters) -> None:
        super().__init__()
        width = hyper.hidden
        self.heads = hyper.heads
        self.norm, self.norm_after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.read = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        inner = hyper.expansion * width
        self.think = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))

    def forward(self, tokens: Tensor, context: Tensor) -> Tensor:
        """``[n, Q, w]`` tokens that look at the context ``[n, S, w]``."""
        query = self.query(self.norm(tokens)).unflatten(-1, (self.heads, -1))
        pairs = self.read(self.norm(context)).unflatten(-1, (2, self.heads, -1))
        key, value = pairs.unbind(-3)
        found = F.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        )
        tokens = tokens + self.out(found.transpose(1, 2).flatten(2))
        return torch.as_tensor(tokens + self.think(self.norm_after(tokens)))


class InContext(Algorithm[Tensor]):
    """One forward pass from labelled examples and questions to answers, without positions.

    As in TNP-D (Nguyen & Grover, 2022, "Transformer neural processes", arXiv:2207.04179) and PFNs
    (Müller et al., 2022, "Transformers can do Bayesian inference", arXiv:2112.10510), a token is an
    input with its target, zero for a query; support tokens look at one another, queries at the
    support. In regression a query's token gives a Gaussian per output, whose likelihood
    meta-training maximises; its mean is a change of what a last attention to the support reads off
    the targets, as in EquiTabPFN. Inputs and targets are standardised by the meta-train ones seen
    so far.

    Classes: CAML (Fifty et al., 2024, "Context-aware meta-learning", arXiv:2310.10971) encodes them
    by fixed vectors and has an output for each. Here all is equivariant in the classes, as in
    EquiTabPFN (Arbel et al., 2025, arXiv:2502.06684): a token per class and example, its target
    being +1 or -1, and the answer is the share of each class in the last attention. Its attention
    between the classes of one example is left out. An episode's embeddings are centred on the
    support and divided by its spread.
    """

    Hyperparameters = InContextHyperparameters

    def __init__(self, task: TaskSpec, hyper: InContextHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        width = self.hyper.hidden
        self._regression = task.kind == "regression"
        self.from_x = nn.Linear(task.width, width)
        self.from_y = nn.Linear(task.way if self._regression else 1, width, bias=False)
        deep = nn.Sequential(nn.ReLU(), layers([width] * 4))  # TNP's four layers
        self.embed = deep if self._regression else nn.Identity()
        self.layers = nn.ModuleList(Layer(self.hyper) for _ in range(self.hyper.depth))
        self.norm = nn.LayerNorm(width)
        if self._regression:
            inner = self.hyper.expansion * width
            last = nn.Linear(inner, 2 * task.way)
            nn.init.zeros_(last.weight)  # to begin with, support targets are averaged
            nn.init.zeros_(last.bias)
            self.head = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), last)
        self.targets, self.inputs = TargetScale(task), TargetScale(replace(task, way=task.width))

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Keep the support: ``[B, Q, d] -> [B, Q, way]`` log-probabilities, or values."""
        size = AT_ONCE // (1 if self._regression else support.way)

        def predict(query: Tensor) -> Tensor:
            some = max(1, size // (query.shape[1] + support.x.shape[1]))
            parts = zip(*(torch.split(t, some) for t in (support.x, support.y, query)), strict=True)
            answers = [self._answer(Support(x, y, support.way), q) for x, y, q in parts]
            scores = torch.cat(answers)
            return self.targets.decode(scores.chunk(2, -1)[0]) if self._regression else scores

        return predict

    def loss(self, support: Support[Tensor], query: Query[Tensor]) -> Tensor:
        """Cross-entropy, or negative log-likelihood in standard units, of the queries."""
        if not self._regression:
            return super().loss(support, query)
        self.targets.update(support.y, query.y)
        self.inputs.update(support.x, query.x)
        mean, raw = self._answer(support, query.x).chunk(2, -1)
        deviation = LEAST_DEVIATION + (1 - LEAST_DEVIATION) * F.softplus(raw)
        error = (self.targets.encode(query.y) - mean) / deviation
        terms: Tensor = 0.5 * error.square() + deviation.log() + 0.5 * math.log(2 * math.pi)
        return terms.mean()

    def _answer(self, support: Support[Tensor], query: Tensor) -> Tensor:
        """``[B, Q, way]`` log-probabilities, or ``[B, Q, 2 k]`` means and raw deviations."""
        x, streams = support.x, 1 if self._regression else support.way
        if self._regression:
            targets = self.targets.encode(support.y).to(x).unsqueeze(1)
            x, query = self.inputs.encode(x), self.inputs.encode(query)
        else:
            centre = x.mean(1, keepdim=True)
            spread = (x - centre).square().mean((1, 2), keepdim=True).sqrt()
            spread = torch.where(spread > 0, spread, 1)
            x, query = (x - centre) / spread, (query - centre) / spread
            targets = 2 * one_hot(support.y, streams, x.dtype).mT.unsqueeze(-1) - 1
        known = self.embed(self.from_x(x).unsqueeze(1) + self.from_y(targets)).flatten(0, 1)
        asked = self.embed(self.from_x(query)).repeat_interleave(streams, 0)
        for layer in self.layers:
            asked = layer(asked, known)
            known = layer(known, known)
        wide = [
            self.norm(tokens).unflatten(0, (-1, streams)).transpose(1, 2).flatten(2)
            for tokens in (asked, known)
        ]
        alike = wide[0] @ wide[1].mT / wide[0].shape[-1] ** 0.5
        if not self._regression:
            return class_logsumexp(alike.log_softmax(-1), support.y, support.way)
        change, raw = self.head(wide[0]).chunk(2, -1)
        return torch.cat([alike.softmax(-1) @ targets.squeeze(1) + change, raw], -1)
