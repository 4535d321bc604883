"""Descriptors of the gradient-based learners.

MAML and FOMAML normalise queries by the statistics of their batch, as the paper does; so a score
depends on the other queries and they declare themselves transductive.
"""

from __future__ import annotations

from metabench_algorithms.entry import ALL_KINDS, entry

GRADIENT = (
    entry(
        "maml",
        "gradient.maml:MAML",
        "gradient descent on the support set from a meta-learned start, second order",
        "Finn et al. (2017), Model-agnostic meta-learning, arXiv:1703.03400",
        kinds=ALL_KINDS,
        inductive=False,
        adapts_encoder=True,
    ),
    entry(
        "fomaml",
        "gradient.maml:MAML",
        "MAML without second derivatives",
        "Finn et al. (2017), section 5.2, arXiv:1703.03400",
        kinds=ALL_KINDS,
        options={"first_order": True},
        inductive=False,
        adapts_encoder=True,
    ),
    entry(
        "anil",
        "gradient.anil:ANIL",
        "MAML whose inner loop adapts the linear head only",
        "Raghu et al. (2020), Rapid learning or feature reuse?, arXiv:1909.09157",
        kinds=ALL_KINDS,
    ),
)
