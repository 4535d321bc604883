"""Model-agnostic meta-learning, second and first order."""

from __future__ import annotations

import torch
from torch import Tensor

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
    embed_copies,
    gradients,
    inner_loop,
    usable,
)
from metabench_algorithms.gradient.settings import (
    GradientHyperparameters,
    check_way,
    meta_head,
    rate_of,
    steps_of,
)
from metabench_algorithms.shared.targets import TargetScale

HEAD = "@head"  # no parameter of an encoder starts like that
AT_ONCE = 2**19  # weights in the copies that are adapted together: 4 copies of Conv4


class MAML(Algorithm[Inputs]):
    """Gradient descent on the support set from meta-learned weights of encoder and head.

    Finn, Abbeel & Levine (2017), "Model-agnostic meta-learning for fast adaptation of deep
    networks", arXiv:1703.03400. Algorithm 2: ``theta' = theta - alpha grad L_support(theta)``,
    repeated (equation 1 and section 2.2), and the query loss at ``theta'`` is differentiated with
    respect to ``theta``, through the inner gradients unless ``first_order``.

    Batch norm uses the statistics of the batch at hand, support or queries, as the paper's code
    does: the scores of a query depend on the other queries of its episode.
    """

    Hyperparameters = GradientHyperparameters
    label_equivariant = False

    def __init__(self, task: TaskSpec, hyper: GradientHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        if task.encoder is None:
            raise TypeError("MAML adapts the encoder's weights and needs TaskSpec.encoder")
        self.head = meta_head(task, self.hyper)
        self.targets = TargetScale(task, enabled=self.hyper.standardize)

    def adapt(self, support: Support[Inputs]) -> Predictor[Inputs]:
        """Adapt a copy per episode: queries ``[B, Q, ...] -> [B, Q, way]`` logits or values."""
        check_way(self.head, support.way)
        chunks = self._chunks(len(support.y))
        adapted = [self._adapt(_part(support.x, c), support.y[c], support.way) for c in chunks]

        def predict(query: Inputs) -> Tensor:
            scores = [
                self._scores(weights, _part(query, c), support.way)
                for c, weights in zip(chunks, adapted, strict=True)
            ]
            return self.targets.decode(torch.cat(scores))

        return predict

    def loss(self, support: Support[Inputs], query: Query[Inputs]) -> Tensor:
        """Mean query loss, differentiated a few episodes at a time to hold few graphs at once.

        The value of the result is the loss, in regression in standard units; its gradient is the
        meta-gradient found on the way.
        """
        self.targets.update(support.y, query.y)
        if not torch.is_grad_enabled():
            return self._query_loss(support, query)
        weights = [w for w in self._start().values() if w.requires_grad]
        meta_gradient = [torch.zeros_like(w) for w in weights]
        total = weights[0].new_zeros(())
        for c in self._chunks(len(support.y)):
            some = Support(_part(support.x, c), support.y[c], support.way)
            share = len(some.y) / len(support.y)
            loss = share * self._query_loss(some, Query(_part(query.x, c), query.y[c]))
            total += loss.detach()
            found = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
            for running, new in zip(meta_gradient, found, strict=True):
                running.add_(new)
        for w, g in zip(weights, meta_gradient, strict=True):
            total = total + ((w - w.detach()) * g).sum()
        return total

    def _query_loss(self, support: Support[Inputs], query: Query[Inputs]) -> Tensor:
        predicted = self.targets.encode(self.adapt(support)(query.x))
        return task_loss(predicted, self.targets.encode(query.y))

    def _adapt(self, x: Inputs, y: Tensor, way: int) -> Weights:
        differentiable, copies = torch.is_grad_enabled(), len(y)
        with gradients():
            x = {name: usable(t) for name, t in x.items()}
            y = self.targets.encode(usable(y))

        def support_loss(weights: Weights) -> Tensor:
            return copies * task_loss(self._scores(weights, x, way), y)

        return inner_loop(
            support_loss,
            self._start(),
            copies,
            steps=steps_of(self.hyper, self),
            rate=rate_of(self.hyper, self.task),
            first_order=self.hyper.first_order,
            differentiable=differentiable,
        )

    def _scores(self, weights: Weights, x: Inputs, way: int) -> Tensor:
        """Scores of ``T`` episodes' examples under their own weights, ``[T, n, way]``."""
        own = {name: w for name, w in weights.items() if not name.startswith(HEAD)}
        embedded = embed_copies(self._encoder, own, x)
        weight, bias = weights[f"{HEAD}.weight"][:, :way], weights[f"{HEAD}.bias"][:, :way]
        return torch.baddbmm(bias.unsqueeze(1), embedded, weight.transpose(1, 2))

    @property
    def _encoder(self) -> Encoder:
        """The core's encoder; no submodule of this one, so its weights are saved once."""
        assert self.task.encoder is not None
        return self.task.encoder

    def _start(self) -> Weights:
        return {**dict(self._encoder.named_parameters()), **dict(self.head.named_parameters(HEAD))}

    def _chunks(self, episodes: int) -> list[slice]:
        weights = sum(w.numel() for w in self._start().values())
        size = max(1, AT_ONCE // weights) if can_embed_copies(self._encoder) else 1
        return [slice(i, min(i + size, episodes)) for i in range(0, episodes, size)]


def _part(x: Inputs, episodes: slice) -> Inputs:
    return {name: t[episodes] for name, t in x.items()}
