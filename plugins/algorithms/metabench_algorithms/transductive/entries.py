"""Descriptors of the transductive learners."""

from __future__ import annotations

from metabench_algorithms.entry import entry

TRANSDUCTIVE = (
    entry(
        "bd-cspn",
        "transductive.bd_cspn:BDCSPN",
        "cosine prototypes rectified by pseudo-labelled queries",
        "Liu et al. (2020), Prototype rectification for few-shot learning, arXiv:1911.10713",
        inductive=False,
        recipe="supervised",
    ),
    entry(
        "laplacianshot",
        "transductive.laplacianshot:LaplacianShot",
        "nearest class mean, neighbouring queries encouraged to agree",
        "Ziko et al. (2020), Laplacian regularized few-shot learning, arXiv:2006.15486",
        inductive=False,
        recipe="supervised",
    ),
    entry(
        "tim",
        "transductive.tim:TIM",
        "maximises the information that the queries carry about their classes",
        "Boudiaf et al. (2020), Transductive information maximization, arXiv:2008.11297",
        inductive=False,
        recipe="supervised",
    ),
    entry(
        "alpha-tim",
        "transductive.alpha_tim:AlphaTIM",
        "information maximisation by alpha-divergences, for unbalanced queries",
        "Veilleux et al. (2021), Realistic evaluation of transductive few-shot learning, "
        "arXiv:2106.09516",
        inductive=False,
        recipe="supervised",
        suites=("standard", "full"),
    ),
    entry(
        "pt-map",
        "transductive.pt_map:PTMAP",
        "power transform, then class centres by optimal transport of the queries",
        "Hu et al. (2021), Leveraging the feature distribution, arXiv:2006.03806",
        inductive=False,
        recipe="supervised",
    ),
    entry(
        "label-propagation",
        "transductive.label_propagation:LabelPropagation",
        "labels spread over the neighbour graph of support and queries",
        "Zhou et al. (2004), Learning with local and global consistency; "
        "in few-shot learning: Liu et al. (2019), TPN, arXiv:1805.10002",
        inductive=False,
        recipe="supervised",
    ),
    entry(
        "transductive-fine-tuning",
        "transductive.transductive_fine_tuning:TransductiveFineTuning",
        "all weights and a new head tuned on the support set and on peaked answers to the queries",
        "Dhillon et al. (2020), A baseline for few-shot image classification, arXiv:1909.02729",
        recipe="supervised",
        adapts_encoder=True,
        inductive=False,
    ),
)
