"""What the learners that adapt a copy of the encoder per episode share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from metabench.learners.contracts import (
    Algorithm,
    Encoder,
    Inputs,
    Predictor,
    Query,
    Support,
    TaskSpec,
    task_loss,
)
from metabench_algorithms.gradient.inner_loop import (
    Weights,
    can_embed_copies,
    descend,
    embed_copies,
    gradients,
    usable,
)
from metabench_algorithms.gradient.settings import GradientHyperparameters, rate_of, steps_of
from metabench_algorithms.shared.targets import TargetScale

HEAD = "@head"  # no parameter of an encoder starts like that
AT_ONCE = 2**19  # weights in the copies that are adapted together: 4 copies of Conv4
AT_ONCE_ON_ACCELERATORS = 2**21  # 16 copies: launches of kernels, not arithmetic, take the time


class AdaptingLearner(Algorithm[Inputs]):
    """Gradient descent on the support set in a copy of the weights per episode.

    This is MAML but for the head's start, with a method for each thing that its relatives do
    otherwise. Batch norm uses the statistics of the batch at hand, support or queries, as the code
    of Finn et al. (2017) does: the scores of a query depend on the other queries of its episode.
    """

    Hyperparameters = GradientHyperparameters

    def __init__(self, task: TaskSpec, hyper: GradientHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        if task.encoder is None:
            name = type(self).__name__
            raise TypeError(f"{name} adapts the encoder's weights and needs TaskSpec.encoder")
        self.targets = TargetScale(task, enabled=self.hyper.standardize)

    def adapt(self, support: Support[Inputs]) -> Predictor[Inputs]:
        """Adapt a copy per episode: queries ``[B, Q, ...] -> [B, Q, way]`` logits or values."""
        chunks = self._chunks(len(support.y))
        adapted = [self._adapt(_part(support, c)) for c in chunks]

        def predict(query: Inputs) -> Tensor:
            scores = [
                self._scores(weights, inputs_of(query, c), support.way)
                for c, weights in zip(chunks, adapted, strict=True)
            ]
            return self.targets.decode(torch.cat(scores))

        return predict

    def loss(self, support: Support[Inputs], query: Query[Inputs]) -> Tensor:
        """Mean loss, differentiated a few episodes at a time to hold few graphs at once.

        The value of the result is the loss, in regression in standard units; its gradient is the
        meta-gradient found on the way.
        """
        self.targets.update(support.y, query.y)
        if not torch.is_grad_enabled():
            return self._query_loss(support, query)
        weights = self._meta_weights()
        meta_gradient = [torch.zeros_like(w) for w in weights]
        total = weights[0].new_zeros(())
        for c in self._chunks(len(support.y)):
            share = (c.stop - c.start) / len(support.y)
            some = Query(inputs_of(query.x, c), query.y[c])
            loss, found = self._meta_gradient(_part(support, c), some, share)
            total += loss
            for running, new in zip(meta_gradient, found, strict=True):
                running.add_(new)
        for w, g in zip(weights, meta_gradient, strict=True):
            total = total + ((w - w.detach()) * g).sum()
        return total

    def _meta_gradient(
        self, support: Support[Inputs], query: Query[Inputs], share: float
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the mean loss of a few episodes and its gradient, both times ``share``."""
        loss = share * self._query_loss(support, query)
        weights = self._meta_weights()
        found = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
        return loss.detach(), found

    def _query_loss(self, support: Support[Inputs], query: Query[Inputs]) -> Tensor:
        predicted = self.targets.encode(self.adapt(support)(query.x))
        return task_loss(predicted, self.targets.encode(query.y))

    def _adapt(self, support: Support[Inputs]) -> Weights:
        """Return the adapted weights of a few episodes, a function of the meta-weights."""
        differentiable = torch.is_grad_enabled()
        weights = deque(self._path(support), maxlen=1).pop()
        return weights if differentiable else {name: w.detach() for name, w in weights.items()}

    def _path(self, support: Support[Inputs]) -> Iterator[Weights]:
        """Yield the weights ``[T, *shape]`` of a few episodes before and after each inner step."""
        differentiable = torch.is_grad_enabled()
        loss = self._support_loss(support)
        yield from descend(
            loss,
            partial(self._start, support),
            steps=steps_of(self.hyper, self),
            rate=self._rate,
            adapts=self._adapts,
            first_order=self._first_order(),
            differentiable=differentiable,
        )

    def _support_loss(self, support: Support[Inputs]) -> Callable[[Weights, int], Tensor]:
        """Return the sum of the episodes' support losses, a function of weights and step."""
        with gradients():
            x = {name: usable(t) for name, t in support.x.items()}
            y = self.targets.encode(usable(support.y))

        def loss(weights: Weights, step: int) -> Tensor:
            return len(y) * task_loss(self._inner_scores(weights, step, x, support.way), y)

        return loss

    def _start(self, support: Support[Inputs]) -> Weights:
        """Return the weights before the first step, ``[T, *shape]``."""
        copies = len(support.y)
        return {name: w.expand(copies, *w.shape) for name, w in self._shared().items()}

    def _rate(self, name: str, step: int) -> Tensor | float:
        """Step size of a weight."""
        del name, step
        return rate_of(self.hyper, self.task)

    def _adapts(self, name: str) -> bool:
        """Whether the inner loop changes a weight."""
        del name
        return True

    def _first_order(self) -> bool:
        """Whether inner gradients are constants of the outer one."""
        first_order: bool = self.hyper.first_order
        return first_order

    def _scores(self, weights: Weights, x: Inputs, way: int) -> Tensor:
        """Scores of ``T`` episodes' examples under their own weights, ``[T, n, way]``."""
        weight, bias = weights[f"{HEAD}.weight"][:, :way], weights[f"{HEAD}.bias"][:, :way]
        embedded = self._embed(weights, x)
        return torch.baddbmm(bias.unsqueeze(1), embedded, weight.transpose(1, 2))

    def _inner_scores(self, weights: Weights, step: int, x: Inputs, way: int) -> Tensor:
        """Scores in an inner step."""
        del step
        return self._scores(weights, x, way)

    def _embed(self, weights: Weights, x: Inputs) -> Tensor:
        own = {name: w for name, w in weights.items() if not name.startswith(HEAD)}
        return embed_copies(self._encoder, own, x)

    @property
    def _encoder(self) -> Encoder:
        """The core's encoder; no submodule of this one, so its weights are saved once."""
        assert self.task.encoder is not None
        return self.task.encoder

    def _shared(self) -> Weights:
        """The meta-learned weights from which all episodes start, by name."""
        return dict(self._encoder.named_parameters())

    def _meta_weights(self) -> list[nn.Parameter]:
        """All that meta-training changes."""
        every = [*self._encoder.parameters(), *self.parameters()]
        return [w for w in every if w.requires_grad]

    def _chunks(self, episodes: int) -> list[slice]:
        size = 1
        if can_embed_copies(self._encoder):
            shared = self._shared().values()
            on_cpu = all(w.device.type == "cpu" for w in shared)
            at_once = AT_ONCE if on_cpu else AT_ONCE_ON_ACCELERATORS
            size = max(1, at_once // sum(w.numel() for w in shared))
        return [slice(i, min(i + size, episodes)) for i in range(0, episodes, size)]


def inputs_of(x: Inputs, episodes: slice) -> Inputs:
    """Return the inputs of some episodes."""
    return {name: t[episodes] for name, t in x.items()}


def _part(support: Support[Inputs], episodes: slice) -> Support[Inputs]:
    return Support(inputs_of(support.x, episodes), support.y[episodes], support.way)
