"""BitFit: fine-tuning of the biases."""

from __future__ import annotations

from dataclasses import dataclass

from metabench_algorithms.gradient.inner_loop import Weights
from metabench_algorithms.transfer.tuning import TunedLearner, TuningHyperparameters


@dataclass(frozen=True, kw_only=True)
class BitFitHyperparameters(TuningHyperparameters):
    """Settings of Adam; the defaults of the released code are 16 epochs of AdamW at 1e-3."""

    tuning_rate: float = 1.6e-3


class BitFit(TunedLearner):
    """Tunes the biases, those of normalisations too, and a new head; all else stays.

    Ben Zaken, Ravfogel & Goldberg (2022), "BitFit: simple parameter-efficient fine-tuning for
    transformer-based masked language-models", arXiv:2106.10199, section 3. Departures: the encoder
    may be any; 10 steps of 1.6e-3, each on the whole support set, instead of 16 epochs of 1e-3 in
    batches of 8; the head starts at the class means, as few steps would not teach a random one;
    nothing is dropped out.
    """

    Hyperparameters = BitFitHyperparameters

    def start(self) -> Weights:
        """The encoder's biases."""
        weights = self.encoder.named_parameters()
        return {name: w for name, w in weights if "bias" in name.rpartition(".")[2]}
