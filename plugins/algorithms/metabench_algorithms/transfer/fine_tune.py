"""Fine-tuning of all weights on the support set."""

from __future__ import annotations

from metabench_algorithms.gradient.inner_loop import Weights
from metabench_algorithms.transfer.tuning import TunedLearner


class FineTune(TunedLearner):
    """Supervised pre-training, then gradient descent of all weights and a new head.

    Dhillon, Chaudhari, Ravichandran & Soatto (2020), "A baseline for few-shot image
    classification", arXiv:1909.02729, section 3.1: Adam on the whole support set, from a head that
    starts at the class means; the released code calls it non-transductive.

    Departures: 10 epochs at 1.25e-4 instead of 25 at 5e-5; features are the embeddings, not the
    rectified logits of the meta-train classes, since pre-training keeps no head; batch norm keeps
    the statistics of pre-training, which the released code moves while it tunes; no augmentation.
    """

    def start(self) -> Weights:
        """All weights of the encoder."""
        return dict(self.encoder.named_parameters())
