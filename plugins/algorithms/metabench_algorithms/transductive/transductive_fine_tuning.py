"""Transductive fine-tuning: all weights, on labelled support and unlabelled queries."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from metabench.learners.contracts import Inputs, Predictor, Support
from metabench_algorithms.transfer.fine_tune import FineTune
from metabench_algorithms.transfer.tuning import Scores


class TransductiveFineTuning(FineTune):
    """Fine-tunes so that the support is classified and predictions on the queries are peaked.

    Dhillon, Chaudhari, Ravichandran & Soatto (2020), "A baseline for few-shot image
    classification", arXiv:1909.02729, section 3.2: cross-entropy on the support plus the mean
    Shannon entropy of the predictions on the queries; as released, an epoch has a step of Adam for
    either. Departures are those of `FineTune`, which is what ``adapt`` does without queries.
    """

    def adapt_transductive(self, support: Support[Inputs], query: Inputs) -> Predictor[Inputs]:
        """Tune a copy per episode on support and queries: ``[B, Q, ...] -> [B, Q, way]``."""
        return self.tune(support, query)

    def losses(
        self, scores: Scores, x: Inputs, y: Tensor, query: Inputs | None
    ) -> Iterator[Tensor]:
        """The cross-entropy of the support, then the entropy of the queries."""
        yield from super().losses(scores, x, y, None)
        if query is not None:
            logs = scores(query).log_softmax(-1)
            yield -(logs.exp() * logs).sum(-1).mean()
