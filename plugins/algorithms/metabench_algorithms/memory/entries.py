"""Descriptors of the learners whose network reads the support set."""

from __future__ import annotations

from metabench_algorithms.entry import ALL_KINDS, entry

MEMORY = (
    entry(
        "cnp",
        "memory.cnp:CNP",
        "conditional neural process: a network reads the support's mean representation",
        "Garnelo et al. (2018), Conditional neural processes, arXiv:1807.01613",
        kinds=ALL_KINDS,
    ),
)
