"""Gradient boosting against scikit-learn's, and against the algorithm step by step."""

import numpy as np
import pytest
import torch
from alg_cases import build, curves, episodes
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.tree import DecisionTreeRegressor

from metabench.errors import UsageError
from metabench.learners.contracts import Support

# Larger leaves leave fewer splits that are equally good, between which rounding would decide.
SAME = {"max_features": "all", "rounds": 30, "min_samples_leaf": 5}
THEIRS = {"n_estimators": 30, "min_samples_leaf": 5, "random_state": 0}


def test_two_classes_are_those_of_scikit_learn():
    support, query = episodes(way=2, shots=(35, 25), query=20, width=3, spread=2.0)
    found = build("gradient-boosting", way=2, width=3, kind="binary", **SAME).adapt(support)
    for b, scores in enumerate(found(query.x)[:2]):  # the third has two best first splits
        oracle = GradientBoostingClassifier(**THEIRS)
        oracle.fit(support.x[b], support.y[b])
        expected = oracle.predict_proba(query.x[b].numpy())
        np.testing.assert_allclose(scores.softmax(-1), expected, atol=1e-3)


def test_values_are_those_of_scikit_learn():
    support, query = curves(size=60, query=30, width=3, scale=7.0)
    options = {"kind": "regression", "way": 1, "width": 3}
    found = build("gradient-boosting", **options, **SAME).adapt(support)(query.x)
    for b in range(3):
        oracle = GradientBoostingRegressor(**THEIRS)
        expected = oracle.fit(support.x[b], support.y[b, :, 0]).predict(query.x[b].numpy())
        np.testing.assert_allclose(found[b, :, 0], expected, atol=1e-2)


def test_several_classes_share_a_tree_and_step_by_newton():
    support, query = episodes(batch=1, way=3, shots=(20, 12, 16), width=3, spread=2.0)
    found = build("gradient-boosting", way=3, width=3, **SAME).adapt(support)(query.x)[0]
    x, q = support.x[0].numpy(), query.x[0].numpy()
    y = np.eye(3)[support.y[0]]
    random = np.random.RandomState(0)
    current, scores = np.tile(np.log(y.mean(0)), (48, 1)), np.tile(np.log(y.mean(0)), (12, 1))
    for _ in range(30):
        p = np.exp(current) / np.exp(current).sum(1, keepdims=True)
        tree = DecisionTreeRegressor(max_depth=3, min_samples_leaf=5, random_state=random)
        tree.fit(x, y - p)
        for leaf in set(tree.apply(x)):
            own = tree.apply(x) == leaf
            for k in range(3):
                step = 2 / 3 * (y - p)[own, k].sum() / (p * (1 - p))[own, k].sum()
                current[own, k] += 0.1 * step
                scores[tree.apply(q) == leaf, k] += 0.1 * step
    np.testing.assert_allclose(found, scores, atol=1e-3)


def test_a_few_examples_are_split():
    support, query = episodes(shots=1, spread=0.05, width=32)
    scores = build("gradient-boosting", width=32).adapt(support)(query.x)
    assert (scores.argmax(-1) == query.y).float().mean() > 0.9


def test_equal_splits_are_chosen_by_the_seed_alone():
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 2, (1, 30, 12), generator=g).float()
    y = torch.randint(0, 3, (1, 30), generator=g)
    boosting = build("gradient-boosting", way=3, width=12)
    before = boosting.adapt(Support(x, y, 3))(x)
    order, names = torch.randperm(30, generator=g), torch.tensor([2, 0, 1])
    after = boosting.adapt(Support(x[:, order], names[y[:, order]], 3))(x)
    torch.testing.assert_close(after[..., names], before)
    other = build("gradient-boosting", way=3, width=12, seed=1).adapt(Support(x, y, 3))(x)
    assert not torch.allclose(other, before)


@pytest.mark.parametrize("option", ["rounds", "max_depth", "min_samples_leaf"])
def test_settings_are_checked(option):
    with pytest.raises(UsageError, match=f"{option}=0 must be at least 1"):
        build("gradient-boosting", **{option: 0})
    with pytest.raises(UsageError, match=r"learning_rate_of_trees=0\.0 must be above 0"):
        build("gradient-boosting", learning_rate_of_trees=0.0)
