"""Mahalanobis distances against covariances of numpy, class by class."""

import numpy as np
import pytest
import torch
from alg_cases import build, episodes
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis as scipy_mahalanobis
from torch.autograd import gradcheck

from metabench.learners.contracts import Support
from metabench_algorithms.metric import mahalanobis as module
from metabench_algorithms.metric.mahalanobis import mahalanobis
from metabench_algorithms.metric.protonet_mahalanobis import ProtoNetMahalanobisHyperparameters
from metabench_algorithms.metric.simple_cnaps import SimpleCNAPSHyperparameters


def covariance(x):
    return (
        np.cov(x.T, ddof=1).reshape(x.shape[1], -1) if len(x) > 1 else np.zeros((x.shape[1],) * 2)
    )


def plain(support, query, b, most_own, ridge):
    x, y = support.x[b].detach().numpy(), support.y[b].numpy()
    scores = np.empty((query.shape[1], support.way))
    for c in range(support.way):
        own = x[y == c]
        share = min(len(own) / (len(own) + 1), most_own)
        q = share * covariance(own) + (1 - share) * covariance(x) + ridge * np.eye(x.shape[1])
        precision = np.linalg.inv(q)
        for i, one in enumerate(query[b].detach().numpy()):
            scores[i, c] = -(scipy_mahalanobis(one, own.mean(0), precision) ** 2)
    return torch.from_numpy(scores)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 999),
    width=st.sampled_from([2, 7, 40]),
    shots=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    most_own=st.sampled_from([0.1, 1.0]),
    ridge=st.sampled_from([0.1, 1.0]),
)
def test_scores_are_the_formula(seed, width, shots, most_own, ridge):
    support, query = episodes(seed, way=len(shots), shots=shots, width=width, dtype=torch.float64)
    scores = mahalanobis(support, most_own=most_own, ridge=ridge)(query.x)
    for b in range(3):
        expected = plain(support, query.x, b, most_own, ridge)
        torch.testing.assert_close(scores[b], expected, rtol=1e-8, atol=1e-8)


def test_simple_cnaps_takes_the_papers_constants():
    support, query = episodes(shots=(1, 4, 2), way=3, dtype=torch.float64)
    scores = build("simple-cnaps", way=3).adapt(support)(query.x)
    torch.testing.assert_close(scores[1], plain(support, query.x, 1, 1.0, 1.0))


def test_protonet_mahalanobis_takes_the_constants_of_fs_mol():
    support, query = episodes(shots=(3, 5), way=2, dtype=torch.float64)
    algorithm = build("protonet-mahalanobis", way=2, dtype=torch.float64, hidden=9, metric_width=4)
    scores = algorithm.adapt(support)(query.x)
    inside = Support(algorithm.layers(support.x), support.y, 2)
    torch.testing.assert_close(scores[1], plain(inside, algorithm.layers(query.x), 1, 0.1, 0.1))


def test_distances_of_few_examples_of_many_features_keep_their_digits():
    support, query = episodes(width=2048, shots=5, dtype=torch.float64)
    exact = mahalanobis(support, most_own=0.1, ridge=0.1)(query.x)
    moved = Support((30 * support.x + 500).float(), support.y, 5)
    scaled = mahalanobis(moved, most_own=0.1, ridge=0.1 * 900)((30 * query.x + 500).float())
    torch.testing.assert_close(scaled.double(), exact, rtol=1e-4, atol=1e-3)


def test_parts_give_the_same_as_the_whole(monkeypatch):
    support, query = episodes(batch=5)
    whole = mahalanobis(support, most_own=1.0, ridge=1.0)(query.x)
    monkeypatch.setattr(module, "ELEMENTS", 2000)
    parts = mahalanobis(support, most_own=1.0, ridge=1.0)(query.x)
    torch.testing.assert_close(parts, whole)


def test_gradients_are_those_of_finite_differences():
    support, query = episodes(batch=1, way=2, shots=(1, 3), width=5, query=1, dtype=torch.float64)
    inputs = (support.x.requires_grad_(), query.x.requires_grad_())

    def scored(x, q):
        return mahalanobis(Support(x, support.y, 2), most_own=1.0, ridge=0.5)(q)

    assert gradcheck(scored, inputs)


def test_duplicates_have_a_gradient():
    support, query = episodes()
    x = torch.ones_like(support.x, requires_grad=True)
    loss = build("protonet-mahalanobis").loss(Support(x, support.y, 5), query)
    loss.backward()
    assert x.grad.isfinite().all()


def loud_half(seed, **more):
    """Episodes in which four of eight features say little and are large."""
    support, query = episodes(seed, spread=0.3, **more)
    loud = torch.tensor([12.0] * 4 + [0.3] * 4)
    g = torch.Generator().manual_seed(seed)
    x, q = (part.x + loud * torch.randn(part.x.shape, generator=g) for part in (support, query))
    return Support(x, support.y, support.way), type(query)(q, query.y)


def test_covariance_beats_distance_where_features_differ_in_scale():
    support, query = loud_half(0, batch=40, shots=10)
    right = {
        name: (build(name).adapt(support)(query.x).argmax(-1) == query.y).float().mean()
        for name in ("simple-cnaps", "protonet")
    }
    assert right["simple-cnaps"] > 0.2 + right["protonet"]


def test_protonet_mahalanobis_learns():
    algorithm = build("protonet-mahalanobis", hidden=32, metric_width=16)
    optimiser = torch.optim.Adam(algorithm.parameters(), 3e-3)
    losses = []
    for seed in range(60):
        support, query = loud_half(seed)
        optimiser.zero_grad()
        loss = algorithm.loss(support, query)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_settings_are_checked():
    with pytest.raises(ValueError, match="ridge=0 must be above 0"):
        SimpleCNAPSHyperparameters(ridge=0)
    for option, message in (
        ({"hidden": 0}, "hidden=0 must be at least 1"),
        ({"most_own": 2.0}, "most_own=2.0 must be at least 0 and at most 1"),
        ({"ridge": 0.0}, "ridge=0.0 must be above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            ProtoNetMahalanobisHyperparameters(**option)
