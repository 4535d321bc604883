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
    entry(
        "relationnet",
        "metric.relationnet:RelationNet",
        "learned comparison of each query with each class",
        "Sung et al. (2018), Learning to compare: relation network, arXiv:1711.06025",
        features="map-if-any",
    ),
    entry(
        "relationnet-bn",
        "metric.relationnet:RelationNet",
        "learned comparison, normalised over all queries of the task (transductive)",
        "Sung et al. (2018), Learning to compare: relation network, arXiv:1711.06025",
        options={"batch_statistics": True},
        features="map-if-any",
        inductive=False,
    ),
    entry(
        "dn4",
        "metric.dn4:DN4",
        "nearest local descriptors of each class, by cosine",
        "Li et al. (2019), Local descriptor based image-to-class measure, arXiv:1903.12290",
        features="map",
    ),
    entry(
        "feat",
        "metric.feat:FEAT",
        "nearest prototype after self-attention among the prototypes",
        "Ye et al. (2020), Set-to-set functions (FEAT), arXiv:1812.03664",
        recipe="supervised+episodic",
    ),
    entry(
        "tadam",
        "metric.tadam:TADAM",
        "nearest prototype by scaled distance behind a layer conditioned on the task",
        "Oreshkin et al. (2018), TADAM, arXiv:1805.10123",
        recipe="supervised+episodic",
    ),
    entry(
        "meta-baseline",
        "metric.meta_baseline:MetaBaseline",
        "nearest class mean by scaled cosine, meta-trained after pre-training",
        "Chen et al. (2021), Meta-Baseline, arXiv:2003.04390",
        recipe="supervised+episodic",
    ),
    entry(
        "simple-cnaps",
        "metric.simple_cnaps:SimpleCNAPS",
        "nearest class mean by Mahalanobis distance with regularised class covariances",
        "Bateni et al. (2020), Improved few-shot visual classification, arXiv:1912.03432",
        recipe="supervised",
    ),
    entry(
        "protonet-mahalanobis",
        "metric.protonet_mahalanobis:ProtoNetMahalanobis",
        "nearest prototype by Mahalanobis distance behind two trained layers",
        "Stanley et al. (2021), FS-Mol, NeurIPS datasets and benchmarks",
    ),
)
