"""LaplacianShot against scikit-learn's neighbours and a loop over the bound updates."""

import numpy as np
import pytest
import torch
from alg_cases import build, episodes
from scipy.special import softmax
from sklearn.neighbors import NearestNeighbors
from transductive_cases import transduce

from metabench_algorithms.transductive.graph import nearest


def reference(xs, ys, xq, way, *, mean, smoothness, neighbours, iterations=20):
    """Assignments of one episode's queries, each in turn."""
    xs, xq = ((x - mean) / np.linalg.norm(x - mean, axis=1, keepdims=True) for x in (xs, xq))
    centre = np.stack([xs[ys == k].mean(0) for k in range(way)])
    unary = np.array([[((q - c) ** 2).sum() for c in centre] for q in xq])
    near = NearestNeighbors(n_neighbors=neighbours + 1).fit(xq).kneighbors(xq)[1][:, 1:]
    y = softmax(-unary, axis=1)
    for _ in range(iterations):
        y = np.stack([softmax(-unary[q] + smoothness * y[near[q]].sum(0)) for q in range(len(xq))])
    return y


@pytest.mark.parametrize("shots", [1, (1, 4, 2, 1, 3)], ids=str)
@pytest.mark.parametrize(("smoothness", "neighbours"), [(1.0, 2), (0.3, 4), (0.0, 1)])
def test_is_the_papers(shots, smoothness, neighbours):
    support, query = episodes(shots=shots, spread=1.2, dtype=torch.float64)
    options = {"smoothness": smoothness, "neighbours": neighbours}
    algorithm = build("laplacianshot", dtype=torch.float64, **options)
    base = torch.randn(100, 8, dtype=torch.float64) + 0.5
    algorithm.fit_features(base)
    found = transduce(algorithm, support, query.x).softmax(-1)
    for b in range(3):
        x, y, q = support.x[b].numpy(), support.y[b].numpy(), query.x[b].numpy()
        expected = reference(x, y, q, 5, mean=base.mean(0).numpy(), **options)
        np.testing.assert_allclose(found[b].numpy(), expected, atol=1e-9)


def test_without_queries_or_smoothness_it_is_simpleshot():
    support, query = episodes(shots=3)
    simple = build("simpleshot").adapt(support)(query.x)
    torch.testing.assert_close(build("laplacianshot").adapt(support)(query.x), simple)
    plain = build("laplacianshot", smoothness=0.0)
    torch.testing.assert_close(transduce(plain, support, query.x), simple)


def test_the_last_bound_is_lower_than_the_first():
    support, query = episodes(shots=2, spread=1.5, query=10, dtype=torch.float64)

    def energy(iterations):
        y = transduce(
            build("laplacianshot", dtype=torch.float64, iterations=iterations), support, query.x
        ).softmax(-1)
        unary = -build("simpleshot", dtype=torch.float64).adapt(support)(query.x)
        x = torch.nn.functional.normalize(query.x, dim=-1)
        loops = torch.eye(x.shape[1], dtype=torch.bool)
        graph = nearest(torch.cdist(x, x).square().masked_fill(loops, torch.inf), 2)
        return float((y * (y.log() + unary - graph @ y)).sum())

    assert energy(20) < energy(3) < energy(1)


def test_ties_for_the_last_place_share_it():
    distance = torch.tensor([[[torch.inf, 1.0, 2.0, 2.0, 3.0]]], dtype=torch.float64)
    assert nearest(distance, 2).tolist() == [[[0.0, 1.0, 0.5, 0.5, 0.0]]]
    assert nearest(distance, 3).tolist() == [[[0.0, 1.0, 1.0, 1.0, 0.0]]]
    assert nearest(distance, 0).sum() == 0
