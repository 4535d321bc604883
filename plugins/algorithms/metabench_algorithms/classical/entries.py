"""Descriptors of the classical references."""

from __future__ import annotations

from metabench_algorithms.entry import ALL_KINDS, entry

CLASSICAL = (
    entry(
        "chance",
        "classical.chance:Chance",
        "ignores its inputs: the level that every learner has to beat",
        kinds=ALL_KINDS,
        uses_encoder=False,
        recipe="none",
    ),
    entry(
        "knn",
        "classical.knn:KNN",
        "share of each class among the k nearest support examples, k chosen per episode",
        "Cover & Hart (1967); as a baseline: Stanley et al. (2021), FS-Mol",
        kinds=ALL_KINDS,
        recipe="supervised",
    ),
    entry(
        "random-forest",
        "classical.random_forest:RandomForest",
        "100 bagged trees grown on the support set",
        "Breiman (2001), Random forests; as a baseline: Stanley et al. (2021), FS-Mol",
        kinds=ALL_KINDS,
        recipe="supervised",
    ),
    entry(
        "gp",
        "classical.gp:GP",
        "Gaussian process on the support set, its kernel fitted per episode",
        "Rasmussen & Williams (2006); as a baseline: Chen et al. (2023), arXiv:2205.02708",
        kinds=ALL_KINDS,
        recipe="supervised",
    ),
    entry(
        "linear-svm",
        "classical.svm:SVM",
        "largest margin between each class and the rest, linear in the embedding",
        "Cortes & Vapnik (1995), Support-vector networks",
        kinds=ALL_KINDS,
        recipe="supervised",
    ),
    entry(
        "rbf-svm",
        "classical.svm:SVM",
        "largest margin between each class and the rest, Gaussian kernel",
        "Cortes & Vapnik (1995), Support-vector networks",
        kinds=ALL_KINDS,
        recipe="supervised",
        options={"kernel": "rbf"},
    ),
    entry(
        "gradient-boosting",
        "classical.gradient_boosting:GradientBoosting",
        "100 shallow trees, each fitted to what the others left unexplained",
        "Friedman (2001), Greedy function approximation: a gradient boosting machine",
        kinds=ALL_KINDS,
        recipe="supervised",
    ),
)
