"""Descriptors of the gradient-based learners.

Those that adapt the encoder normalise queries by the statistics of their batch, as Finn et al. do;
so a score depends on the other queries and they declare themselves transductive.
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
    entry(
        "maml++",
        "gradient.maml_plus_plus:MAMLPlusPlus",
        "MAML with losses of all steps, learned step sizes and batch norm per step",
        "Antoniou et al. (2019), How to train your MAML, arXiv:1810.09502",
        kinds=ALL_KINDS,
        inductive=False,
        adapts_encoder=True,
        recipe="metabench_algorithms.gradient.maml_plus_plus:MAMLPlusPlusRecipe",
    ),
    entry(
        "meta-sgd",
        "gradient.meta_sgd:MetaSGD",
        "one gradient step whose size is meta-learned for every weight",
        "Li et al. (2017), Meta-SGD, arXiv:1707.09835",
        kinds=ALL_KINDS,
        inductive=False,
        adapts_encoder=True,
    ),
    entry(
        "boil",
        "gradient.boil:BOIL",
        "MAML whose inner loop adapts the encoder and not the head",
        "Oh et al. (2021), BOIL, arXiv:2008.08882",
        kinds=ALL_KINDS,
        inductive=False,
        adapts_encoder=True,
    ),
    entry(
        "reptile",
        "gradient.reptile:Reptile",
        "weights move towards where training on each task ends",
        "Nichol et al. (2018), On first-order meta-learning algorithms, arXiv:1803.02999",
        kinds=ALL_KINDS,
        inductive=False,
        adapts_encoder=True,
        recipe="metabench_algorithms.gradient.reptile:ReptileRecipe",
    ),
    entry(
        "imaml",
        "gradient.imaml:IMAML",
        "regularised descent with the implicit meta-gradient of its optimum",
        "Rajeswaran et al. (2019), Meta-learning with implicit gradients, arXiv:1909.04630",
        kinds=ALL_KINDS,
        inductive=False,
        adapts_encoder=True,
    ),
    entry(
        "proto-maml",
        "gradient.proto_maml:ProtoMAML",
        "first-order MAML whose head starts as nearest prototype",
        "Triantafillou et al. (2020), Meta-Dataset, arXiv:1903.03096",
        inductive=False,
        adapts_encoder=True,
    ),
    entry(
        "cavia",
        "gradient.cavia:CAVIA",
        "head on embeddings of which only a context vector is adapted",
        "Zintgraf et al. (2019), Fast context adaptation via meta-learning, arXiv:1810.03642",
        kinds=ALL_KINDS,
    ),
)
