"""The random forest against scikit-learn's trees and forests."""

import numpy as np
import pytest
import torch
from alg_cases import build, curves, episodes
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier

from metabench.errors import UsageError
from metabench.learners.contracts import Support


@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({}, {"max_features": 5}),
        ({"max_features": "all", "max_depth": 3}, {"max_depth": 3}),
        (
            {"max_features": "log2", "min_samples_leaf": 2},
            {"max_features": 4, "min_samples_leaf": 2},
        ),
        ({"max_features": "third", "seed": 3}, {"max_features": 10}),
    ],
)
def test_trees_are_those_of_a_classifier(options, theirs):
    support, query = episodes(batch=1, way=3, shots=(4, 9, 6), query=20, width=30, spread=2.0)
    forest = build("random-forest", way=3, width=30, trees=20, **options)
    found = forest.adapt(support)(query.x)[0]
    x, y = support.x[0].numpy(), support.y[0].numpy()
    order = sorted(range(19), key=lambda i: x[i].tobytes())
    x, y = x[order], y[order]
    random = np.random.RandomState(options.get("seed", 0))
    expected = np.zeros((60, 3))
    for _ in range(20):
        weight = np.bincount(random.randint(0, 19, 19), minlength=19)
        tree = DecisionTreeClassifier(random_state=random, **theirs).fit(x, y, weight)
        expected += tree.predict_proba(query.x[0].numpy()) / 20
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_scores_are_about_those_of_a_forest_of_scikit_learn():
    support, query = episodes(batch=2, way=3, shots=8, query=20, width=12, spread=2.0)
    found = build("random-forest", way=3, width=12, trees=400).adapt(support)(query.x)
    for b in range(2):
        oracle = RandomForestClassifier(400, random_state=1).fit(support.x[b], support.y[b])
        apart = found[b].numpy() - oracle.predict_proba(query.x[b].numpy())
        assert np.abs(apart).mean() < 0.03
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 60))


def test_values_are_about_those_of_a_forest_of_scikit_learn():
    support, query = curves(batch=2, size=40, query=30, width=4, outputs=2)
    options = {"kind": "regression", "way": 2, "width": 4, "trees": 400, "max_features": "all"}
    found = build("random-forest", **options).adapt(support)(query.x)
    for b in range(2):
        oracle = RandomForestRegressor(400, random_state=1).fit(support.x[b], support.y[b])
        apart = found[b].numpy() - oracle.predict(query.x[b].numpy())
        assert np.abs(apart).mean() < 0.06


def test_order_decides_nothing_among_equal_examples():
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 2, (1, 30, 4), generator=g).float()
    y = torch.randint(0, 2, (1, 30), generator=g)
    forest = build("random-forest", way=2, width=4, trees=10)
    before = forest.adapt(Support(x, y, 2))(x)
    order = torch.randperm(30, generator=g)
    after = forest.adapt(Support(x[:, order], y[:, order], 2))(x)
    assert torch.equal(after, before)
    assert torch.equal(forest.adapt(Support(x, 1 - y, 2))(x).flip(-1), before)


def test_absent_class_scores_nothing_and_the_seed_matters():
    support, query = episodes(shots=(3, 0, 3, 3, 3), spread=2.0)
    scores = build("random-forest", trees=10).adapt(support)(query.x)
    assert (scores[..., 1] == 0).all()
    other = build("random-forest", trees=10, seed=1).adapt(support)(query.x)
    assert not torch.equal(other, scores)


@pytest.mark.parametrize("option", ["trees", "max_depth", "min_samples_leaf"])
def test_settings_are_checked(option):
    with pytest.raises(UsageError, match=f"{option}=0 must be at least 1"):
        build("random-forest", **{option: 0})
