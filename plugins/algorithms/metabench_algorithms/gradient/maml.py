"""Model-agnostic meta-learning, second and first order."""

from __future__ import annotations

from metabench.learners.contracts import Inputs, Predictor, Support, TaskSpec
from metabench_algorithms.gradient.adapting import HEAD, AdaptingLearner
from metabench_algorithms.gradient.inner_loop import Weights
from metabench_algorithms.gradient.settings import GradientHyperparameters, check_way, meta_head


class MAML(AdaptingLearner):
    """Gradient descent on the support set from meta-learned weights of encoder and head.

    Finn, Abbeel & Levine (2017), "Model-agnostic meta-learning for fast adaptation of deep
    networks", arXiv:1703.03400. Algorithm 2: ``theta' = theta - alpha grad L_support(theta)``,
    repeated (equation 1 and section 2.2), and the query loss at ``theta'`` is differentiated with
    respect to ``theta``, through the inner gradients unless ``first_order``.
    """

    label_equivariant = False

    def __init__(self, task: TaskSpec, hyper: GradientHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        self.head = meta_head(task, self.hyper)

    def adapt(self, support: Support[Inputs]) -> Predictor[Inputs]:
        """Adapt a copy per episode: queries ``[B, Q, ...] -> [B, Q, way]`` logits or values."""
        check_way(self.head, support.way)
        return super().adapt(support)

    def _shared(self) -> Weights:
        return {**super()._shared(), **dict(self.head.named_parameters(HEAD))}
