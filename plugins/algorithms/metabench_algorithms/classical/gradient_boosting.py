"""Gradient-boosted trees on the support set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from metabench.learners.contracts import EpisodeAlgorithm, Hyperparameters, bounded
from metabench_algorithms.classical.trees import Doubles, TreeGrower, features_tried, host

GRID = 2.0**16
RAREST = float(np.finfo(np.float32).eps)  # scikit-learn's share of a class without examples


@dataclass(frozen=True, kw_only=True)
class GradientBoostingHyperparameters(Hyperparameters):
    """Settings of the ensemble: the defaults of scikit-learn's ``GradientBoostingClassifier``.

    Its histogram variant would not do: with at least 20 examples in a leaf, its default, a support
    set of 25 cannot be split at all.

    Attributes:
        rounds: Number of trees (100).
        learning_rate_of_trees: Shrinkage of each tree (0.1).
        max_depth: Largest depth of a tree (3).
        min_samples_leaf: Fewest support examples in a leaf (1).
        max_features: Features tried per split: ``sqrt`` of their number, or ``all``. The library
            tries all; a sample of them is its advice against overfitting, and cheap.
        seed: Of every episode's trees.
    """

    rounds: int = bounded(100, least=1)
    learning_rate_of_trees: float = bounded(0.1, above=0)
    max_depth: int = bounded(3, least=1)
    min_samples_leaf: int = bounded(1, least=1)
    max_features: Literal["sqrt", "all"] = "sqrt"
    seed: int = 0


class GradientBoosting(EpisodeAlgorithm):
    """Trees fitted one after another to what the ones before left unexplained.

    Friedman (2001), "Greedy function approximation: a gradient boosting machine", Annals of
    Statistics 29(5): algorithm 6 (classes: residuals of the softmax, a Newton step per leaf) and
    algorithm 2 (values: squared error). He grows a tree per class and round; here one tree with an
    output per class serves them all, as in Zhang & Jung (2021), "GBDT-MO", arXiv:1909.04373. For
    two classes, and for one value, that is the same, and agrees with scikit-learn.
    """

    Hyperparameters = GradientBoostingHyperparameters

    def adapt_episode(self, x: Tensor, y: Tensor, way: int) -> Callable[[Tensor], Tensor]:
        """Grow the trees: ``[Q, d] -> [Q, way]`` logits, or values."""
        values = self.task.kind == "regression"
        given = (y if values else F.one_hot(y, way)).detach().cpu().double().numpy()
        shift, scale = np.zeros(way), np.ones(way)
        start = np.log(given.mean(0).clip(RAREST, 1 - RAREST)) if not values else shift
        if values:
            shift, scale = given.mean(0), given.std(0)
            given = (given - shift) / np.where(scale > 0, scale, 1)
        trees = self._grow(host(x), given, start)

        def predict(query: Tensor) -> Tensor:
            rows = host(query)
            total = np.tile(start, (len(rows), 1))
            for tree, leaves in trees:
                total += leaves[tree.apply(rows)]
            return torch.as_tensor(total * scale + shift).to(query)

        return predict

    def _grow(self, x: Any, y: Doubles, start: Doubles) -> list[tuple[Any, Doubles]]:
        """Trees, each with the ``[nodes, k]`` steps of its leaves."""
        hyper, classes = self.hyper, self.task.kind != "regression"
        grower = TreeGrower(
            x,
            y.shape[1],
            np.random.RandomState(hyper.seed),
            max_features=features_tried(hyper.max_features, x.shape[1]),
            max_depth=hyper.max_depth,
            min_samples_leaf=hyper.min_samples_leaf,
        )
        current, trees = np.tile(start, (len(x), 1)), []
        for _ in range(hyper.rounds):
            guess = _softmax(current) if classes else current
            # On a grid all sums are exact, so neither the order of examples nor that of classes
            # decides between splits that are equally good.
            residual = np.rint((y - guess) * GRID) / GRID
            tree = grower.grow(residual)
            leaf = tree.apply(x)
            member = (leaf == np.arange(tree.node_count)[:, None]).astype(np.float64)
            curvature = member @ (guess * (1 - guess) if classes else np.ones_like(y))
            share = 1 - 1 / y.shape[1] if classes else 1.0
            steps = share * (member @ residual) / np.where(curvature > 0, curvature, 1)
            steps *= hyper.learning_rate_of_trees
            current += steps[leaf]
            trees.append((tree, steps))
        return trees


def _softmax(logits: Doubles) -> Doubles:
    """Probabilities along the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    shares: Doubles = powers / powers.sum(-1, keepdims=True)
    return shares
