"""Descriptors of the metric learners."""

from __future__ import annotations

from metabench_algorithms.entry import entry

METRIC = (
    entry(
        "nearest-neighbour",
        "metric.nearest_neighbour:NearestNeighbour",
        "class of the most similar support example (cosine)",
        "Wang et al. (2019), SimpleShot, arXiv:1911.04623",
        recipe="supervised",
    ),
    entry(
        "simpleshot",
        "metric.simpleshot:SimpleShot",
        "nearest class mean of centred, normalised embeddings (CL2N)",
        "Wang et al. (2019), SimpleShot, arXiv:1911.04623",
        recipe="supervised",
    ),
    entry(
        "protonet",
        "metric.protonet:ProtoNet",
        "nearest prototype (class mean) by squared Euclidean distance",
        "Snell et al. (2017), Prototypical networks, arXiv:1703.05175",
    ),
    entry(
        "matchingnet",
        "metric.matchingnet:MatchingNet",
        "cosine attention over the support set",
        "Vinyals et al. (2016), Matching networks, arXiv:1606.04080",
    ),
    entry(
        "matchingnet-fce",
        "metric.matchingnet:MatchingNet",
        "cosine attention over the support set, full context embeddings (LSTMs)",
        "Vinyals et al. (2016), Matching networks, arXiv:1606.04080, appendix A",
        options={"fce": True},
    ),
)
