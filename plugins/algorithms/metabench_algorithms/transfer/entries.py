"""Descriptors of the transfer learners."""

from __future__ import annotations

from metabench_algorithms.entry import entry

TRANSFER = (
    entry(
        "baseline",
        "transfer.baseline:Baseline",
        "new linear head trained on the support set by SGD",
        "Chen et al. (2019), A closer look at few-shot classification, arXiv:1904.04232",
        recipe="supervised",
    ),
)
