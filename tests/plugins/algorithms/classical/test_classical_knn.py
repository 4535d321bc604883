"""k nearest neighbours against scikit-learn, plain loops and ties."""

import numpy as np
import pytest
import torch
from alg_cases import build, curves, episodes
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from metabench.errors import UsageError
from metabench.learners.contracts import Support

SETTINGS = [
    ("euclidean", "uniform", "uniform"),
    ("euclidean", "similarity", "distance"),
    ("cosine", "uniform", "uniform"),
]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@settings(max_examples=15)
@given(seed=st.integers(0, 9999), way=st.integers(2, 5), width=st.integers(2, 40), k=st.data())
def test_classes_are_scikit_learns(setting, seed, way, width, k):
    metric, weights, theirs = setting
    support, query = episodes(seed, way=way, width=width, spread=2.0)
    k = k.draw(st.integers(1, 3 * way))
    knn = build("knn", way=way, width=width, k=k, metric=metric, weights=weights)
    scores = knn.adapt(support)(query.x)
    for b in range(3):
        oracle = KNeighborsClassifier(k, metric=metric, weights=theirs)
        oracle.fit(support.x[b].double(), support.y[b])
        expected = oracle.predict_proba(query.x[b].double())
        np.testing.assert_allclose(scores[b].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(("metric", "weights", "theirs"), SETTINGS)
@pytest.mark.parametrize("outputs", [1, 3])
def test_values_are_scikit_learns(metric, weights, theirs, outputs):
    support, query = curves(outputs=outputs)
    options = {"k": 4, "metric": metric, "weights": weights}
    knn = build("knn", kind="regression", way=outputs, **options)
    found = knn.adapt(support)(query.x)
    for b in range(3):
        oracle = KNeighborsRegressor(4, metric=metric, weights=theirs)
        oracle.fit(support.x[b].double(), support.y[b].double())
        expected = oracle.predict(query.x[b].double()).reshape(-1, outputs)
        np.testing.assert_allclose(found[b].numpy(), expected, atol=1e-5)


def counts(seed, n, width=6, high=3):
    g = torch.Generator().manual_seed(seed)
    return torch.randint(0, high, (1, n, width), generator=g).float()


def ruzicka(a, b):
    most = torch.maximum(a, b).sum()
    return float(torch.minimum(a, b).sum() / most) if most else 1.0


def votes(likeness, labels, way, k):
    """Shares of the classes among the k most alike, ties at the border sharing the places."""
    bar = sorted(likeness, reverse=True)[k - 1]
    share = [0.0] * way
    tied = sum(abs(v - bar) < 1e-9 for v in likeness)
    places = k - sum(v > bar + 1e-9 for v in likeness)
    for value, label in zip(likeness, labels, strict=True):
        weight = 1.0 if value > bar + 1e-9 else (abs(value - bar) < 1e-9) * places / tied
        share[label] += weight / k
    return share


@settings(max_examples=20)
@given(seed=st.integers(0, 9999), k=st.integers(1, 9))
def test_tanimoto_is_the_plain_loop_with_fair_ties(seed, k):
    x, q = counts(seed, 9), counts(seed + 1, 5)
    labels = torch.arange(9) % 3
    support = Support(x, labels.unsqueeze(0), 3)
    scores = build("knn", way=3, width=6, k=k, metric="tanimoto").adapt(support)(q)
    for i in range(5):
        expected = votes([ruzicka(q[0, i], s) for s in x[0]], labels.tolist(), 3, k)
        np.testing.assert_allclose(scores[0, i].numpy(), expected, atol=1e-6)


def test_similarity_weights_of_tanimoto():
    support = Support(
        torch.tensor([[[1.0, 1, 0], [1, 1, 1], [0, 0, 1]]]), torch.tensor([[0, 1, 1]]), 2
    )
    options = {"metric": "tanimoto", "weights": "similarity", "way": 2, "width": 3}
    scores = build("knn", k=2, **options).adapt(support)(torch.tensor([[[1.0, 1, 0]]]))
    torch.testing.assert_close(scores, torch.tensor([[[1 / (5 / 3), (2 / 3) / (5 / 3)]]]))
    nothing_alike = build("knn", k=1, **options).adapt(
        Support(support.x[:, 2:], support.y[:, 2:], 2)
    )(torch.tensor([[[1.0, 1, 0]]]))
    assert torch.equal(nothing_alike, torch.tensor([[[0.0, 1.0]]]))


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "tanimoto"])
@pytest.mark.parametrize("weights", ["uniform", "similarity"])
@settings(max_examples=15)
@given(seed=st.integers(0, 9999))
def test_order_decides_nothing_among_many_ties(metric, weights, seed):
    x, q = counts(seed, 24, width=3, high=2), counts(seed + 1, 8, width=3, high=2)
    y = torch.arange(24).unsqueeze(0) % 2
    order = torch.randperm(24, generator=torch.Generator().manual_seed(seed))
    knn = build("knn", way=2, width=3, metric=metric, weights=weights)
    before = knn.adapt(Support(x, y, 2))(q)
    after = knn.adapt(Support(x[:, order], y[:, order], 2))(q)
    torch.testing.assert_close(after, before, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(before.sum(-1), torch.ones(1, 8))


@settings(max_examples=10)
@given(seed=st.integers(0, 9999), size=st.sampled_from([2, 3, 9, 12, 20]))
def test_number_of_neighbours_is_the_best_left_out(seed, size):
    x, q = counts(seed, size), counts(seed + 1, 4)
    labels = torch.randint(0, 2, (size,), generator=torch.Generator().manual_seed(seed)).tolist()
    candidates = (
        [k for k in (4, 8, 16) if k < size // 2]
        or [k for k in range(1, size) if k < size / 2]
        or [1]
    )
    credit = []
    for k in candidates:
        total = 0.0
        for i in range(size):
            others = [j for j in range(size) if j != i]
            share = votes(
                [ruzicka(x[0, i], x[0, j]) for j in others], [labels[j] for j in others], 2, k
            )
            best = [c for c in (0, 1) if share[c] > max(share) - 1e-9]
            total += (labels[i] in best) / len(best)
        credit.append(total)
    chosen = next(k for k, c in zip(candidates, credit, strict=True) if c > max(credit) - 1e-9)
    support = Support(x, torch.tensor([labels]), 2)
    options = {"way": 2, "width": 6, "metric": "tanimoto"}
    found = build("knn", **options).adapt(support)(q)
    torch.testing.assert_close(found, build("knn", k=chosen, **options).adapt(support)(q))


def test_number_of_neighbours_is_each_episodes_own():
    g = torch.Generator().manual_seed(0)
    line = torch.linspace(0, 1, 40).view(1, -1, 1)
    x = torch.cat([line, line])
    smooth = torch.sin(20 * line[0])
    y = torch.stack([smooth, torch.randn(40, 1, generator=g)])
    knn = build("knn", kind="regression", way=1, width=1)
    together = knn.adapt(Support(x, y, 1))(x)
    for b in range(2):
        one = Support(x[b : b + 1], y[b : b + 1], 1)
        torch.testing.assert_close(knn.adapt(one)(x[:1])[0], together[b])
    fixed = build("knn", kind="regression", way=1, width=1, k=4).adapt(Support(x, y, 1))(x)
    torch.testing.assert_close(together[0], fixed[0])
    assert not torch.allclose(together[1], fixed[1])


def test_settings_are_checked():
    with pytest.raises(UsageError, match="k=-1 must be at least 0"):
        build("knn", k=-1)
    support, _ = episodes()
    with pytest.raises(UsageError, match="not negative"):
        build("knn", metric="tanimoto").adapt(support)
