"""Trees that are grown directly against those of scikit-learn's estimator."""

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from metabench_algorithms.classical.trees import TreeGrower, features_tried


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", [{}, {"max_depth": 2}, {"min_samples_leaf": 3}], ids=str)
def test_trees_are_the_same_one_after_another(weighted, options):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(40, 6)).astype(np.float32)
    y = draw.normal(size=(40, 2))
    random, theirs = np.random.RandomState(3), np.random.RandomState(3)
    grower = TreeGrower(x, 2, random, max_features=2, **options)
    for _ in range(5):
        weight = draw.integers(0, 3, 40).astype(float) if weighted else None
        tree = grower.grow(y, weight)
        oracle = DecisionTreeRegressor(max_features=2, random_state=theirs, **options)
        oracle.fit(x, y, sample_weight=weight)
        assert np.array_equal(tree.feature, oracle.tree_.feature)
        assert np.array_equal(tree.threshold, oracle.tree_.threshold)
        assert np.array_equal(tree.predict(x)[..., 0], oracle.predict(x))


@pytest.mark.parametrize(("rule", "count"), [("sqrt", 4), ("log2", 4), ("third", 6), ("all", 20)])
def test_rules(rule, count):
    assert features_tried(rule, 20) == count
    assert features_tried(rule, 1) == 1
