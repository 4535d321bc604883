"""Regression trees of scikit-learn, grown without the checks of its estimators.

On a few dozen examples ``DecisionTreeRegressor.fit`` spends most of its time on looking at its
arguments. Here its builder is called directly; the trees are the same, number for number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.tree._criterion import MSE
from sklearn.tree._splitter import BestSplitter
from sklearn.tree._tree import DepthFirstTreeBuilder, Tree
from torch import Tensor

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

UNLIMITED = 2**31 - 1


class TreeGrower:
    """Grows trees on one support set.

    Args:
        x: ``[S, d]`` features.
        outputs: Number of columns of the targets.
        random: Draws the features that a split may use.
        max_features: Features tried per split.
        max_depth: Largest depth; ``None`` is unlimited.
        min_samples_leaf: Fewest examples in a leaf.
    """

    def __init__(
        self,
        x: Floats,
        outputs: int,
        random: np.random.RandomState,
        *,
        max_features: int,
        max_depth: int | None = None,
        min_samples_leaf: int = 1,
    ) -> None:
        self._x = x
        self._outputs = outputs
        self._single = np.ones(outputs, dtype=np.intp)
        self._leaf = min_samples_leaf
        self._depth = UNLIMITED if max_depth is None else max_depth
        criterion = MSE(outputs, len(x))
        self._splitter = BestSplitter(criterion, max_features, min_samples_leaf, 0.0, random, None)

    def grow(self, y: Doubles, weight: Doubles | None = None) -> Any:
        """Fit one tree.

        Args:
            y: ``[S, outputs]`` targets, contiguous.
            weight: ``[S]`` weights; none means all alike.

        Returns:
            The tree, whose ``predict`` and ``apply`` take ``[n, d]`` float32 features.
        """
        tree = Tree(self._x.shape[1], self._single, self._outputs)
        builder = DepthFirstTreeBuilder(
            self._splitter, max(2, 2 * self._leaf), self._leaf, 0.0, self._depth, 0.0
        )
        builder.build(tree, self._x, y, weight, None)
        return tree


def host(x: Tensor) -> Floats:
    """``[n, d]`` contiguous float32 features on the host."""
    return np.ascontiguousarray(x.detach().cpu().float().numpy())


def features_tried(rule: str, width: int) -> int:
    """Features per split out of ``width`` by a rule: ``sqrt``, ``log2``, ``third`` or ``all``."""
    count = {"sqrt": width**0.5, "log2": np.log2(width), "third": width / 3, "all": width}[rule]
    return max(1, int(count))
