"""Label propagation against scikit-learn's spreading and a loop over the graph."""

import numpy as np
import pytest
import torch
from alg_cases import build, episodes
from sklearn.semi_supervised import LabelSpreading
from transductive_cases import transduce

from metabench.learners.contracts import Support


def graph(x, k, rank):
    """Edge weights of one episode, pair after pair."""
    n = len(x)
    d = np.array([[np.linalg.norm(a - b) for b in x] for a in x])
    order = [[j for j in np.argsort(d[i]) if j != i] for i in range(n)]
    scale = [d[i, order[i][min(rank, n - 1) - 1]] for i in range(n)]
    w = np.zeros((n, n))
    for i in range(n):
        for j in order[i][:k]:
            w[i, j] = w[j, i] = np.exp(-(d[i, j] ** 2) / (scale[i] * scale[j]))
    return w


def unit(support, query, b):
    x = torch.cat([support.x[b], query.x[b]]).numpy()
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("shots", [1, (1, 4, 2, 1, 3)], ids=str)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("alpha", "k", "rank"), [(0.99, 20, 7), (0.5, 4, 2)])
def test_is_the_closed_form(shots, symmetric, alpha, k, rank):
    support, query = episodes(shots=shots, spread=1.2, dtype=torch.float64)
    options = {"spread": alpha, "neighbours": k, "scale_neighbour": rank, "symmetric": symmetric}
    algorithm = build("label-propagation", dtype=torch.float64, **options)
    found = transduce(algorithm, support, query.x).softmax(-1)
    known = support.y.shape[1]
    for b in range(3):
        w = graph(unit(support, query, b), k, rank)
        degree = w.sum(1)
        y = np.zeros((len(w), 5))
        y[range(known), support.y[b]] = 1
        s = w / np.sqrt(np.outer(degree, degree)) if symmetric else w / degree
        f = np.linalg.solve(np.eye(len(w)) - alpha * s, y)[known:]
        np.testing.assert_allclose(found[b].numpy(), f / f.sum(1, keepdims=True), atol=1e-9)


def test_the_symmetric_form_is_scikit_learns_label_spreading():
    support, query = episodes(shots=2, spread=0.8, dtype=torch.float64)
    algorithm = build("label-propagation", dtype=torch.float64, symmetric=True, spread=0.9)
    found = transduce(algorithm, support, query.x).softmax(-1)
    known = support.y.shape[1]
    for b in range(3):
        x = unit(support, query, b)
        labels = np.concatenate([support.y[b].numpy(), -np.ones(len(x) - known)])
        oracle = LabelSpreading(
            kernel=lambda a, _: graph(a, 20, 7), alpha=0.9, max_iter=5000, tol=1e-12
        )
        oracle.fit(x, labels)
        np.testing.assert_allclose(found[b].numpy(), oracle.label_distributions_[known:], atol=1e-6)


def test_labels_travel_along_a_chain():
    """Two half circles: the nearest support example is of the wrong class at their ends."""
    angle = torch.linspace(0, torch.pi, 60)
    upper = torch.stack([angle.cos(), angle.sin()], 1)
    lower = torch.stack([1 - angle.cos(), 0.4 - angle.sin()], 1)
    support = Support(torch.stack([upper[:1], lower[-1:]], 1), torch.tensor([[0, 1]]), 2)
    query = torch.cat([upper, lower]).unsqueeze(0)
    labels = torch.arange(2).repeat_interleave(60)
    options = {"way": 2, "width": 2, "normalize": False, "neighbours": 3, "scale_neighbour": 2}
    algorithm = build("label-propagation", **options)
    assert (transduce(algorithm, support, query)[0].argmax(-1) == labels).float().mean() > 0.97
    assert (algorithm.adapt(support)(query)[0].argmax(-1) == labels).float().mean() < 0.9


def test_queries_that_no_label_reaches_get_equal_scores():
    near, far = torch.randn(1, 6, 3) * 0.01, torch.randn(1, 6, 3) * 0.01 + 50
    support = Support(near[:, :2], torch.tensor([[0, 1]]), 2)
    query = torch.cat([near[:, 2:], far], 1)
    options = {"way": 2, "width": 3, "normalize": False, "neighbours": 2}
    scores = transduce(build("label-propagation", **options), support, query)
    assert torch.equal(scores[0, 4:, 0], scores[0, 4:, 1])
    assert (scores[0, :4, 0] != scores[0, :4, 1]).all()


def test_without_other_queries_a_query_takes_the_support_labels():
    support, query = episodes(shots=2, dtype=torch.float64)
    scores = build("label-propagation", dtype=torch.float64).adapt(support)(query.x).softmax(-1)
    x = torch.nn.functional.normalize(support.x, dim=-1).numpy()
    q = torch.nn.functional.normalize(query.x, dim=-1).numpy()
    for b in range(3):
        own = np.sort(np.linalg.norm(x[b][:, None] - x[b], axis=-1), 1)[:, 7]  # 0 is itself
        d = np.linalg.norm(q[b][:, None] - x[b], axis=-1)
        w = np.exp(-(d**2) / (np.sort(d, 1)[:, 6:7] * own))
        f = w @ np.eye(5)[support.y[b]]
        np.testing.assert_allclose(scores[b].numpy(), f / f.sum(1, keepdims=True), atol=1e-9)
