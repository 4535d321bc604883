"""Model-agnostic meta-learning, second and first order."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metabench.learners.contracts import (
    Algorithm,
    Inputs,
    Predictor,
    Query,
    Support,
    TaskSpec,
    task_loss,
)
from metabench_algorithms._gradient import (
    GradientHyperparameters,
    check_way,
    meta_head,
    steps_of,
)
from metabench_algorithms._inner_loop import Weights, apply, inner_loop, usable


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

    def __init__(self, task: TaskSpec, hyper: GradientHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self.head = meta_head(task, self.hyper)

    def adapt(self, support: Support[Inputs]) -> Predictor[Inputs]:
        """Adapt each episode by itself: queries ``[B, Q, ...] -> [B, Q, way]`` logits."""
        check_way(self.head, support.way)
        adapted = [
            self._adapt_episode(_episode(support.x, i), y, support.way)
            for i, y in enumerate(support.y)
        ]

        def predict(query: Inputs) -> Tensor:
            scores = [
                self._scores(support.way, _episode(query, i), weights)
                for i, weights in enumerate(adapted)
            ]
            return torch.stack(scores)

        return predict

    def loss(self, support: Support[Inputs], query: Query[Inputs]) -> Tensor:
        """Mean query loss; each episode is differentiated at once, so one graph exists at a time.

        The result's value is the loss, and its gradient the meta-gradient found on the way.
        """
        if not torch.is_grad_enabled():
            return super().loss(support, query)
        weights = [w for w in self._network().parameters() if w.requires_grad]
        total, meta_gradient = 0.0, [torch.zeros_like(w) for w in weights]
        episodes = len(support.y)
        for i in range(episodes):
            one = Support(_slice(support.x, i), support.y[i : i + 1], support.way)
            loss = task_loss(self.adapt(one)(_slice(query.x, i)), query.y[i : i + 1]) / episodes
            total = total + loss.detach()
            found = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
            for running, new in zip(meta_gradient, found, strict=True):
                running.add_(new)
        pairs = zip(weights, meta_gradient, strict=True)
        return total + sum(((w - w.detach()) * g).sum() for w, g in pairs)

    def _network(self) -> nn.Module:
        """Encoder and head; the encoder belongs to the core and is no submodule of this one."""
        if self.task.encoder is None:
            raise TypeError("MAML adapts the encoder's weights and needs TaskSpec.encoder")
        return nn.Sequential(self.task.encoder, self.head)

    def _scores(self, way: int, x: Inputs, weights: Weights) -> Tensor:
        """``[n, way]`` logits (``[n]`` values in regression) of one episode's examples."""
        scores = apply(self._network(), weights, x)
        return scores.squeeze(-1) if self.task.kind == "regression" else scores[:, :way]

    def _adapt_episode(self, x: Inputs, y: Tensor, way: int) -> Weights:
        x, y = {name: usable(t) for name, t in x.items()}, usable(y)

        def support_loss(weights: Weights) -> Tensor:
            return task_loss(self._scores(way, x, weights).unsqueeze(0), y.unsqueeze(0))

        return inner_loop(
            support_loss,
            dict(self._network().named_parameters()),
            steps=steps_of(self.hyper, self),
            rate=self.hyper.inner_lr,
            first_order=self.hyper.first_order,
            differentiable=torch.is_grad_enabled(),
        )


def _episode(x: Inputs, i: int) -> Inputs:
    return {name: t[i] for name, t in x.items()}


def _slice(x: Inputs, i: int) -> Inputs:
    return {name: t[i : i + 1] for name, t in x.items()}
