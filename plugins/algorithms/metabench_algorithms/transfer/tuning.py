"""What the fine-tuning learners share: a copy of some weights and a new head, tuned per episode.

Episodes are tuned one after the other, each with a copy of the encoder in evaluation mode: batch
norm keeps the statistics of pre-training, so that every query is predicted by itself, and nothing
is dropped. The encoder's own weights and buffers stay as they are.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from metabench.learners.contracts import (
    Algorithm,
    Encoder,
    Hyperparameters,
    Inputs,
    Predictor,
    Support,
    TaskSpec,
    bounded,
    class_means,
)
from metabench_algorithms.gradient.inner_loop import Weights, gradients, usable
from metabench_algorithms.shared.compare import unit

HEAD = "@head"  # no parameter of an encoder starts like that
ROUNDING = 1e-6
"""Gradients that count as 0: Adam takes whole steps even where a gradient is only rounding."""

Scores = Callable[[Inputs], Tensor]


@dataclass(frozen=True, kw_only=True)
class TuningHyperparameters(Hyperparameters):
    """Settings of Adam on a support set.

    How far Adam goes depends on the number of steps times their size, and hardly on the gradient.
    So learners keep the product that their papers publish and take 10 steps, to spare CPUs.

    Attributes:
        tuning_steps: Passes over the support set, with a step each.
        tuning_rate: Step size; Dhillon et al. (2020) take 25 steps of 5e-5.
    """

    tuning_steps: int = bounded(10, least=0)
    tuning_rate: float = bounded(1.25e-4, above=0)


class TunedLearner(Algorithm[Inputs]):
    """Tunes some weights of the encoder, and a head, on each support set.

    The head is that of Dhillon et al. (2020), arXiv:1909.02729, section 3.1: the product of
    embeddings of length 1 with weights that start at the normalised class means, plus biases.
    """

    Hyperparameters = TuningHyperparameters

    def __init__(self, task: TaskSpec, hyper: TuningHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        if task.encoder is None:
            raise TypeError(f"{type(self).__name__} tunes the encoder and needs TaskSpec.encoder")

    @abstractmethod
    def start(self) -> Weights:
        """Return what is tuned, by name, as each episode finds it."""

    def merge(self, tuned: Weights) -> Weights:
        """Return the encoder's parameters that tuned weights make; by default the weights."""
        return tuned

    def losses(
        self, scores: Scores, x: Inputs, y: Tensor, query: Inputs | None
    ) -> Iterator[Tensor]:
        """Yield the losses of one pass; each is descended before the next one is computed.

        Args:
            scores: Gives ``[n, way]`` logits under the present weights.
            x: Support inputs ``[S, ...]`` of one episode.
            y: ``[S]`` labels.
            query: The unlabelled queries, for a transductive learner.
        """
        del query
        yield F.cross_entropy(scores(x), y)

    def adapt(self, support: Support[Inputs]) -> Predictor[Inputs]:
        """Tune a copy per episode: queries ``[B, Q, ...] -> [B, Q, way]`` logits."""
        return self.tune(support, None)

    def tune(self, support: Support[Inputs], query: Inputs | None) -> Predictor[Inputs]:
        """Do what ``adapt`` does, with the unlabelled queries at hand if there are any."""
        with gradients(), evaluating(self.encoder):
            tuned = [
                self._tune_episode(
                    _episode(support.x, i), usable(y), support.way, query and _episode(query, i)
                )
                for i, y in enumerate(support.y)
            ]

        def predict(asked: Inputs) -> Tensor:
            with torch.no_grad(), evaluating(self.encoder):
                scores = [self._scores(w, _episode(asked, i)) for i, w in enumerate(tuned)]
            return torch.stack(scores)

        return predict

    @property
    def encoder(self) -> Encoder:
        """The core's encoder; no submodule of this one, so its weights are saved once."""
        assert self.task.encoder is not None
        return self.task.encoder

    def _tune_episode(self, x: Inputs, y: Tensor, way: int, query: Inputs | None) -> Weights:
        with torch.no_grad():
            own = self.start()
            head = self._head(self._embed(self.merge(own), x), y, way)
        tuned = {name: w.detach().clone().requires_grad_() for name, w in {**own, **head}.items()}
        free, rate = list(tuned.values()), self.hyper.tuning_rate
        optimizer = torch.optim.Adam(free, lr=rate, fused=True)
        for _ in range(self.hyper.tuning_steps):
            for loss in self.losses(lambda x: self._scores(tuned, x), x, y, query):
                optimizer.zero_grad()
                torch.autograd.backward(loss, inputs=free)
                for w in free:
                    w.grad = F.hardshrink(w.grad, ROUNDING) if w.grad is not None else None
                optimizer.step()
        return {name: w.detach() for name, w in tuned.items()}

    def _scores(self, tuned: Weights, x: Inputs) -> Tensor:
        own = {name: w for name, w in tuned.items() if not name.startswith(HEAD)}
        features = unit(self._embed(self.merge(own), x))
        return torch.addmm(tuned[f"{HEAD}.bias"], features, tuned[f"{HEAD}.weight"])

    def _embed(self, weights: Weights, x: Inputs) -> Tensor:
        state = {name: w.detach() for name, w in self.encoder.named_parameters()}
        embedded: Tensor = functional_call(self.encoder, {**state, **weights}, (x,))
        return embedded

    def _head(self, features: Tensor, y: Tensor, way: int) -> Weights:
        """Start the head of an episode from its ``[S, d]`` embeddings."""
        means = class_means(Support(features.unsqueeze(0), y.unsqueeze(0), way))[0]
        return {f"{HEAD}.weight": unit(means).T, f"{HEAD}.bias": features.new_zeros(way)}


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode for a while."""
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for m, mode in modes:
            m.training = mode


def _episode(inputs: Inputs, number: int) -> Inputs:
    return {name: usable(tensor[number]) for name, tensor in inputs.items()}
