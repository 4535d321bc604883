"""A random forest on the support set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from metabench.learners.contracts import EpisodeAlgorithm, Hyperparameters, bounded
from metabench_algorithms.classical.trees import Doubles, Floats, TreeGrower, features_tried, host


@dataclass(frozen=True, kw_only=True)
class RandomForestHyperparameters(Hyperparameters):
    """Settings of the forest: scikit-learn's defaults for classes.

    The baseline of FS-Mol (Stanley et al., 2021) searches each of them per task by 5-fold
    cross-validated accuracy, among the values given in brackets. The search takes 144 forests a
    fold, so here they are fixed.

    Attributes:
        trees: Number of trees (10, 100, 200, 500).
        max_depth: Largest depth of a tree; ``None`` is unlimited (unlimited, 5, 10, 20).
        max_features: Features tried per split: the square root or the logarithm (base 2) of their
            number, a third of them, or all. ``auto`` is ``sqrt`` for classes and ``third`` in
            regression, as Breiman (2001) and Hastie et al. (2009), "The elements of statistical
            learning", section 15.3, have it (sqrt, log2).
        min_samples_leaf: Fewest support examples in a leaf (1, 2, 5).
        seed: Of every episode's forest.
    """

    trees: int = bounded(100, least=1)
    max_depth: int | None = bounded(None, least=1)
    max_features: Literal["auto", "sqrt", "log2", "third", "all"] = "auto"
    min_samples_leaf: int = bounded(1, least=1)
    seed: int = 0


class RandomForest(EpisodeAlgorithm):
    """Bagged trees with random features at each split.

    Breiman (2001), "Random forests", Machine Learning 45. Trees are scikit-learn's. Classes are
    regressed as indicators: on these the squared error is the Gini index, so the trees are those of
    ``RandomForestClassifier`` and a leaf holds the share of each class, 0 for one without support.
    Scores are the mean shares.

    For the scores not to depend on the order of the support, examples are sorted before they are
    drawn, and examples with equal features are drawn together.
    """

    Hyperparameters = RandomForestHyperparameters

    def adapt_episode(self, x: Tensor, y: Tensor, way: int) -> Callable[[Tensor], Tensor]:
        """Grow the trees: ``[Q, d] -> [Q, way]`` shares of the classes, or values."""
        targets = y.double() if self.task.kind == "regression" else F.one_hot(y, way).double()
        forest = self._grow(host(x), targets.cpu().numpy())

        def predict(query: Tensor) -> Tensor:
            rows = host(query)
            total = np.zeros((len(rows), way))
            for tree in forest:
                total += tree.predict(rows).reshape(len(rows), way)
            return torch.as_tensor(total / len(forest)).to(query)

        return predict

    def _grow(self, x: Floats, y: Doubles) -> list[Any]:
        """Fit scikit-learn's trees to ``x [S, d]`` and ``y [S, k]``."""
        hyper = self.hyper
        random = np.random.RandomState(hyper.seed)
        # The bytes of a row order rows as well as numbers would, and in one sort.
        rows = (x + 0.0).view(np.dtype((np.void, x.shape[1] * x.itemsize))).ravel()
        distinct, member = np.unique(rows, return_inverse=True)
        # Sums of indicators are exact in any order; sums of values are not.
        values = y.T[::-1] if self.task.kind == "regression" else ()
        order = np.lexsort((*values, member))
        x, y, member = np.ascontiguousarray(x[order]), np.ascontiguousarray(y[order]), member[order]
        rule = hyper.max_features
        if rule == "auto":
            rule = "third" if self.task.kind == "regression" else "sqrt"
        grower = TreeGrower(
            x,
            y.shape[1],
            random,
            max_features=features_tried(rule, x.shape[1]),
            max_depth=hyper.max_depth,
            min_samples_leaf=hyper.min_samples_leaf,
        )
        trees = []
        for _ in range(hyper.trees):
            drawn = random.randint(0, len(distinct), len(distinct))
            weight = np.bincount(drawn, minlength=len(distinct))[member].astype(np.float64)
            trees.append(grower.grow(y, weight))
        return trees
