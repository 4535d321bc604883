"""Matching networks, with and without full context embeddings."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from metabench.learners.contracts import Algorithm, Hyperparameters, Predictor, Support, TaskSpec
from metabench_algorithms.metric.context import QueryContext, SupportContext
from metabench_algorithms.shared.compare import class_logsumexp, cosine


@dataclass(frozen=True, kw_only=True)
class MatchingNetHyperparameters(Hyperparameters):
    """Settings of Vinyals et al. (2016), who give neither optimiser nor rate: the loop's defaults.

    Attributes:
        scale: Factor of the cosine before the softmax. Equation 2 has none, hence 1; Chen et al.
            (2019), arXiv:1904.04232, use 100.
        fce: Embed each example in the context of the whole support set (appendix A).
        processing_steps: Reads ``K`` of the support set per query, with ``fce``. The paper leaves
            it open; 5 is from Vinyals, Bengio & Kudlur (2016), "Order matters", arXiv:1511.06391.
        context_width: With ``fce``, embeddings wider than this are first mapped to it by a learned
            linear map. The paper's are 64 wide; LSTMs as wide as 4,096 n-gram counts would have
            hundreds of millions of weights. 256 is ours.
    """

    scale: float = 1.0
    fce: bool = False
    processing_steps: int = 5
    context_width: int = 256


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
        self.support_order_free = not self.hyper.fce  # an LSTM reads the support
        if self.hyper.fce:
            width = min(task.width, self.hyper.context_width)
            wide = task.width > width
            self.narrow = nn.Linear(task.width, width, bias=False) if wide else nn.Identity()
            self.support_context = SupportContext(width)
            self.query_context = QueryContext(width, self.hyper.processing_steps)

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Embed the support in its context: ``[B, Q, d] -> [B, Q, way]`` log-probabilities."""
        fce = self.hyper.fce
        memory = self.support_context(self.narrow(support.x)) if fce else support.x

        def predict(query: Tensor) -> Tensor:
            if fce:
                query = self.query_context(self.narrow(query), memory)
            attention = (self.hyper.scale * cosine(query, memory)).log_softmax(-1)
            return class_logsumexp(attention, support.y, support.way)

        return predict
