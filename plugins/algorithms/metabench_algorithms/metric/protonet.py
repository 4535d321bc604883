"""Prototypical networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from metabench.learners.contracts import Algorithm, Hyperparameters, Predictor, Support, class_means
from metabench_algorithms.shared.compare import negative_squared_distance


@dataclass(frozen=True, kw_only=True)
class ProtoNetHyperparameters(Hyperparameters):
    """Settings of Snell et al. (2017), section 3.1.

    Adam at 1e-3, halved every 2,000 episodes (here: every fifth of the budget), one episode a step.
    They train at a higher way than they test: 60-way on Omniglot, 20- or 30-way on miniImageNet;
    ``train_way`` sets it, and by default it is the protocol's.
    """

    schedule: Literal["constant", "cosine", "halving"] = "halving"


class ProtoNet(Algorithm[Tensor]):
    """Nearest prototype in a meta-learned embedding.

    Snell, Swersky & Zemel (2017), "Prototypical networks for few-shot learning", arXiv:1703.05175.
    Equation 1: a prototype ``c`` is the mean embedding of its class. Equation 2: the logit of a
    class is ``-||q - c||^2``. Meta-training minimises the cross-entropy of the queries.
    """

    Hyperparameters = ProtoNetHyperparameters

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Average each class: ``[B, Q, d] -> [B, Q, way]`` logits."""
        prototypes = class_means(support)

        def predict(query: Tensor) -> Tensor:
            return negative_squared_distance(query, prototypes)

        return predict
