"""Matching networks, with and without full context embeddings."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from metabench.learners.contracts import Algorithm, Hyperparameters, Predictor, Support, TaskSpec
from metabench_algorithms._compare import class_logsumexp, cosine
from metabench_algorithms._context import QueryContext, SupportContext


@dataclass(frozen=True, kw_only=True)
class MatchingNetHyperparameters(Hyperparameters):
    """Settings of Vinyals et al. (2016), who give neither optimiser nor rate: the loop's defaults.

    Attributes:
        scale: Factor of the cosine before the softmax. Equation 2 has none, hence 1; Chen et al.
            (2019), arXiv:1904.04232, use 100.
        fce: Embed each example in the context of the whole support set (appendix A).
        processing_steps: Reads ``K`` of the support set per query, with ``fce``. The paper leaves
            it open; 5 is from Vinyals, Bengio & Kudlur (2016), "Order matters", arXiv:1511.06391.
    """

    scale: float = 1.0
    fce: bool = False
    processing_steps: int = 5


class MatchingNet(Algorithm[Tensor]):
    """Cosine attention over the support set.

    Vinyals, Blundell, Lillicrap, Kavukcuoglu & Wierstra (2016), "Matching networks for one shot
    learning", arXiv:1606.04080. Equation 1: ``p(y|q) = sum_i a(q, x_i) y_i``. Equation 2: ``a`` is
    the softmax over the support of the cosine of ``f(q)`` and ``g(x_i)``. Scores are ``log p``.

    With ``fce``, ``g`` is a bidirectional LSTM that reads the support in its given order, as in the
    paper: another order gives other scores. Every query is read by itself, so it stays inductive.
    """

    Hyperparameters = MatchingNetHyperparameters

    def __init__(self, task: TaskSpec, hyper: MatchingNetHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        if self.hyper.fce:
            self.support_context = SupportContext(task.width)
            self.query_context = QueryContext(task.width, self.hyper.processing_steps)

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Embed the support in its context: ``[B, Q, d] -> [B, Q, way]`` log-probabilities."""
        memory = self.support_context(support.x) if self.hyper.fce else support.x

        def predict(query: Tensor) -> Tensor:
            if self.hyper.fce:
                query = self.query_context(query, memory)
            attention = (self.hyper.scale * cosine(query, memory)).log_softmax(-1)
            return class_logsumexp(attention, support.y, support.way)

        return predict
