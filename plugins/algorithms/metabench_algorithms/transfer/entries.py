"""Descriptors of the transfer learners."""

from __future__ import annotations

from metabench_algorithms.entry import entry

_CLOSER_LOOK = "Chen et al. (2019), A closer look at few-shot classification, arXiv:1904.04232"

TRANSFER = (
    entry(
        "baseline",
        "transfer.baseline:Baseline",
        "new linear head trained on the support set by SGD",
        _CLOSER_LOOK,
        recipe="supervised",
    ),
    entry(
        "baseline++",
        "transfer.baseline_plus:BaselinePlus",
        "new cosine classifier trained on the support set by SGD",
        _CLOSER_LOOK,
        recipe="supervised",
    ),
    entry(
        "rfs",
        "transfer.rfs:RFS",
        "logistic regression on the embeddings of a self-distilled encoder",
        "Tian et al. (2020), Rethinking few-shot image classification, arXiv:2003.11539",
        kinds=("classification",),
        recipe="supervised+metabench_algorithms.transfer.rfs:DistillRecipe",
    ),
    entry(
        "fine-tune",
        "transfer.fine_tune:FineTune",
        "all weights and a new head tuned on the support set",
        "Dhillon et al. (2020), A baseline for few-shot image classification, arXiv:1909.02729",
        recipe="supervised",
        adapts_encoder=True,
    ),
    entry(
        "bitfit",
        "transfer.bitfit:BitFit",
        "biases and a new head tuned on the support set",
        "Ben Zaken et al. (2022), BitFit, arXiv:2106.10199",
        recipe="supervised",
        adapts_encoder=True,
    ),
    entry(
        "lora",
        "transfer.lora:LoRA",
        "low-rank updates of the weights and a new head tuned on the support set",
        "Hu et al. (2021), LoRA: low-rank adaptation of large language models, arXiv:2106.09685",
        recipe="supervised",
        adapts_encoder=True,
    ),
)
