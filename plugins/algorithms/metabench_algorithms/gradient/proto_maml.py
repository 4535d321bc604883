"""Proto-MAML: the head starts as that of a prototypical network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metabench.learners.contracts import Inputs, Support, TaskSpec, class_means
from metabench_algorithms.gradient.adapting import HEAD, AdaptingLearner
from metabench_algorithms.gradient.inner_loop import Weights, norm_weights, usable
from metabench_algorithms.gradient.settings import GradientHyperparameters


@dataclass(frozen=True, kw_only=True)
class ProtoMAMLHyperparameters(GradientHyperparameters):
    """Settings of Proto-MAML: those of the configuration released with the paper.

    The paper then searches steps and step size anew for each training set and encoder.

    Attributes:
        class_lr: 0.01.
        first_order: As in all of the paper's results ("fo-Proto-MAML").
        meta_batch: One episode.
        adapt_norm: Adapt the scales and shifts of batch norm too.
    """

    class_lr: ClassVar[float] = 0.01
    first_order: bool = True
    meta_batch: int = 1
    adapt_norm: bool = False


class ProtoMAML(AdaptingLearner):
    """MAML of the encoder with a head that starts as nearest prototype.

    Triantafillou et al. (2020), "Meta-Dataset: A dataset of datasets for learning to learn from few
    examples", arXiv:1903.03096, section 3: ``W_k = 2 c_k`` and ``b_k = -|c_k|^2`` for the mean
    embedding ``c_k`` of class k, so that the logits are negative squared distances but for a
    constant; then gradient steps on encoder and head. The outer gradient goes through the
    prototypes, the inner ones do not, as in the released code. Nothing belongs to a class, so way
    and labels are free.
    """

    Hyperparameters = ProtoMAMLHyperparameters

    def __init__(self, task: TaskSpec, hyper: ProtoMAMLHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self._fixed = set() if self.hyper.adapt_norm else norm_weights(self._encoder)

    def _start(self, support: Support[Inputs]) -> Weights:
        weights = super()._start(support)
        x = {name: usable(t) for name, t in support.x.items()}
        embedded = self._embed(weights, x)
        centres = class_means(Support(embedded, usable(support.y), support.way))
        head = {f"{HEAD}.weight": 2 * centres, f"{HEAD}.bias": -centres.square().sum(-1)}
        # Copies anew, or the first inner gradient would go through the prototypes.
        return {**super()._start(support), **head}

    def _adapts(self, name: str) -> bool:
        return name not in self._fixed
