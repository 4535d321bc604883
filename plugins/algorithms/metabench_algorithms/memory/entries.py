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
    entry(
        "snail",
        "memory.snail:SNAIL",
        "temporal convolutions and causal attention read the support, then the query",
        "Mishra et al. (2018), A simple neural attentive meta-learner, arXiv:1707.03141",
    ),
    entry(
        "in-context",
        "memory.in_context:InContext",
        "a transformer answers each query with the support as its context",
        "Fifty et al. (2024), CAML, arXiv:2310.10971; Nguyen & Grover (2022), arXiv:2207.04179; "
        "Arbel et al. (2025), EquiTabPFN, arXiv:2502.06684",
        kinds=ALL_KINDS,
        recipe="supervised+episodic",
    ),
)
