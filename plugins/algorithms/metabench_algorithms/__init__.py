"""First-party few-shot learners; this module holds their descriptors and imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from metabench.hookspecs import AlgorithmInfo, TaskKind, hookimpl

LICENCE = "Apache-2.0"
CLASSES: tuple[TaskKind, ...] = ("classification", "binary")
ALL_KINDS: tuple[TaskKind, ...] = ("classification", "binary", "regression")


@hookimpl
def metabench_algorithms() -> Iterator[AlgorithmInfo]:
    """Yield every first-party algorithm."""
    yield AlgorithmInfo(
        name="chance",
        summary="ignores its inputs: the level that every learner has to beat",
        target="metabench_algorithms.chance:Chance",
        licence=LICENCE,
        task_kinds=ALL_KINDS,
        uses_encoder=False,
        recipe="none",
    )
    yield from _probes()
    yield from _tabular()
    yield from _metric_learners()
    yield from _gradient_learners()


def _probes() -> Iterator[AlgorithmInfo]:
    """Learners on top of an encoder that is frozen or trained with supervision."""
    yield AlgorithmInfo(
        name="nearest-neighbour",
        summary="class of the most similar support example (cosine)",
        target="metabench_algorithms.nearest_neighbour:NearestNeighbour",
        citation="Wang et al. (2019), SimpleShot, arXiv:1911.04623",
        licence=LICENCE,
        task_kinds=CLASSES,
        recipe="supervised",
    )
    yield AlgorithmInfo(
        name="simpleshot",
        summary="nearest class mean of centred, normalised embeddings (CL2N)",
        target="metabench_algorithms.simpleshot:SimpleShot",
        citation="Wang et al. (2019), SimpleShot, arXiv:1911.04623",
        licence=LICENCE,
        task_kinds=CLASSES,
        recipe="supervised",
    )
    yield AlgorithmInfo(
        name="logistic-probe",
        summary="multinomial logistic regression on the support set",
        target="metabench_algorithms.logistic_probe:LogisticProbe",
        citation="Tian et al. (2020), Rethinking few-shot image classification, arXiv:2003.11539",
        licence=LICENCE,
        task_kinds=CLASSES,
        recipe="supervised",
    )
    yield AlgorithmInfo(
        name="ridge-probe",
        summary="ridge regression on the support set, in closed form",
        target="metabench_algorithms.ridge_probe:RidgeProbe",
        citation="Hoerl & Kennard (1970); per episode: Bertinetto et al. (2019), arXiv:1805.08136",
        licence=LICENCE,
        task_kinds=ALL_KINDS,
        recipe="supervised",
    )
    yield AlgorithmInfo(
        name="baseline",
        summary="new linear head trained on the support set by SGD",
        target="metabench_algorithms.baseline:Baseline",
        citation="Chen et al. (2019), A closer look at few-shot classification, arXiv:1904.04232",
        licence=LICENCE,
        task_kinds=CLASSES,
        recipe="supervised",
    )


def _tabular() -> Iterator[AlgorithmInfo]:
    """Learners of single tasks that also serve features such as fingerprints and measurements."""
    yield AlgorithmInfo(
        name="knn",
        summary="share of each class among the k nearest support examples, k chosen per episode",
        target="metabench_algorithms.knn:KNN",
        citation="Cover & Hart (1967); as a baseline: Stanley et al. (2021), FS-Mol",
        licence=LICENCE,
        task_kinds=ALL_KINDS,
        recipe="supervised",
    )
    yield AlgorithmInfo(
        name="random-forest",
        summary="100 bagged trees grown on the support set",
        target="metabench_algorithms.random_forest:RandomForest",
        citation="Breiman (2001), Random forests; as a baseline: Stanley et al. (2021), FS-Mol",
        licence=LICENCE,
        task_kinds=ALL_KINDS,
        recipe="supervised",
        suites=("standard", "full"),
    )
    yield AlgorithmInfo(
        name="gp",
        summary="Gaussian process on the support set, its kernel fitted per episode",
        target="metabench_algorithms.gp:GP",
        citation="Rasmussen & Williams (2006); as a baseline: Chen et al. (2023), arXiv:2205.02708",
        licence=LICENCE,
        task_kinds=ALL_KINDS,
        recipe="supervised",
    )


def _metric_learners() -> Iterator[AlgorithmInfo]:
    """Learners that meta-train an embedding for comparison, or the comparison itself."""
    yield AlgorithmInfo(
        name="protonet",
        summary="nearest prototype (class mean) by squared Euclidean distance",
        target="metabench_algorithms.protonet:ProtoNet",
        citation="Snell et al. (2017), Prototypical networks, arXiv:1703.05175",
        licence=LICENCE,
        task_kinds=CLASSES,
    )
    yield AlgorithmInfo(
        name="matchingnet",
        summary="cosine attention over the support set",
        target="metabench_algorithms.matchingnet:MatchingNet",
        citation="Vinyals et al. (2016), Matching networks, arXiv:1606.04080",
        licence=LICENCE,
        task_kinds=CLASSES,
    )
    yield AlgorithmInfo(
        name="cnp",
        summary="conditional neural process: a network reads the support's mean representation",
        target="metabench_algorithms.cnp:CNP",
        citation="Garnelo et al. (2018), Conditional neural processes, arXiv:1807.01613",
        licence=LICENCE,
        task_kinds=ALL_KINDS,
    )
    yield AlgorithmInfo(
        name="matchingnet-fce",
        summary="cosine attention over the support set, full context embeddings (LSTMs)",
        target="metabench_algorithms.matchingnet:MatchingNet",
        citation="Vinyals et al. (2016), Matching networks, arXiv:1606.04080, appendix A",
        licence=LICENCE,
        options={"fce": True},
        task_kinds=CLASSES,
    )


def _gradient_learners() -> Iterator[AlgorithmInfo]:
    """Learners that descend the support loss from a meta-learned start.

    MAML and FOMAML normalise queries by the statistics of their batch, as the paper does; so a
    score depends on the other queries and they declare themselves transductive.
    """
    yield AlgorithmInfo(
        name="maml",
        summary="gradient descent on the support set from a meta-learned start, second order",
        target="metabench_algorithms.maml:MAML",
        citation="Finn et al. (2017), Model-agnostic meta-learning, arXiv:1703.03400",
        licence=LICENCE,
        task_kinds=ALL_KINDS,
        inductive=False,
        adapts_encoder=True,
    )
    yield AlgorithmInfo(
        name="fomaml",
        summary="MAML without second derivatives",
        target="metabench_algorithms.maml:MAML",
        citation="Finn et al. (2017), section 5.2, arXiv:1703.03400",
        licence=LICENCE,
        options={"first_order": True},
        task_kinds=ALL_KINDS,
        inductive=False,
        adapts_encoder=True,
    )
    yield AlgorithmInfo(
        name="anil",
        summary="MAML whose inner loop adapts the linear head only",
        target="metabench_algorithms.anil:ANIL",
        citation="Raghu et al. (2020), Rapid learning or feature reuse?, arXiv:1909.09157",
        licence=LICENCE,
        task_kinds=ALL_KINDS,
    )
