"""Metric learners against their papers' equations, written out plainly."""

import math

import pytest
import torch
from alg_cases import build, episodes
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from torch.nn import functional as F

from metabench.learners.contracts import Support, task_loss
from metabench_algorithms.shared.compare import class_logsumexp, negative_squared_distance


@settings(max_examples=30)
@given(seed=st.integers(0, 9999), width=st.integers(1, 70), way=st.integers(1, 7))
def test_protonet_logits_are_the_formula(seed, width, way):
    support, query = episodes(seed, width=width, way=way, dtype=torch.float64)
    logits = build("protonet", way=way, width=width).adapt(support)(query.x)
    for b in range(len(logits)):
        for c in range(way):
            prototype = support.x[b][support.y[b] == c].mean(0)
            expected = -((query.x[b] - prototype) ** 2).sum(-1)
            torch.testing.assert_close(logits[b, :, c], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_expanded_square_keeps_its_digits(offset):
    support, query = episodes(width=64, dtype=torch.float64)
    exact = negative_squared_distance(query.x, support.x)
    plain = -(query.x.unsqueeze(2) - support.x.unsqueeze(1)).square().sum(-1)
    torch.testing.assert_close(exact, plain)
    moved = negative_squared_distance((query.x + offset).float(), (support.x + offset).float())
    torch.testing.assert_close(moved.double(), plain, rtol=1e-4, atol=0)


def test_distance_is_never_negative_and_has_a_gradient_at_zero():
    x = torch.full((1, 3, 9), 1.1, requires_grad=True)
    scores = negative_squared_distance(x, x)
    scores.sum().backward()
    assert (scores <= 0).all()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_protonet_learns():
    layer = torch.nn.Linear(8, 8)
    algorithm = build("protonet")
    optimiser = torch.optim.Adam(layer.parameters(), 1e-2)
    losses = []
    for seed in range(60):
        support, query = episodes(seed, spread=1.0)
        mapped = Support(layer(support.x), support.y, 5)
        loss = algorithm.loss(mapped, type(query)(layer(query.x), query.y))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_matchingnet_is_equations_1_and_2(scale):
    support, query = episodes(batch=2, shots=(1, 3, 2), way=3, dtype=torch.float64)
    scores = build("matchingnet", way=3, scale=scale).adapt(support)(query.x)
    for b in range(2):
        assert_attention(scores[b], query.x[b], support.x[b], support.y[b], scale)


@torch.no_grad()
def assert_attention(scores, queries, memory, labels, scale=1.0):
    for q, row in zip(queries, scores, strict=True):
        kernel = [math.exp(scale * (float(q @ x) / float(q.norm() * x.norm()) - 1)) for x in memory]
        for c in range(len(row)):
            p = sum(k for k, y in zip(kernel, labels, strict=True) if y == c) / sum(kernel)
            assert math.isclose(float(row[c]), math.log(p), rel_tol=1e-9, abs_tol=1e-9)


def test_log_sum_exp_per_class_does_not_underflow():
    scores = torch.tensor([[[0.0, -300.0, -301.0, 5.0]]])
    labels = torch.tensor([[0, 1, 1, 2]])
    found = class_logsumexp(scores, labels, 4)[0, 0]
    torch.testing.assert_close(found[:3], torch.tensor([0.0, -300 + math.log1p(math.exp(-1)), 5.0]))
    assert found[3] < -1000
    assert found.isfinite().all()


def lstm_step(cell_weights, x, h, c):
    w_ih, w_hh, b_ih, b_hh = cell_weights
    i, f, g, o = (w_ih @ x + b_ih + w_hh @ h + b_hh).chunk(4)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def test_full_context_embeddings_are_appendix_a():
    width, steps = 4, 3
    support, query = episodes(batch=2, way=3, shots=2, width=width, dtype=torch.float64)
    algorithm = build(
        "matchingnet-fce", way=3, width=width, processing_steps=steps, dtype=torch.float64
    )
    scores = algorithm.adapt(support)(query.x)
    lstm, f = algorithm.support_context.lstm, algorithm.query_context
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    for b in range(2):
        size = support.y.shape[1]
        memory = support.x[b].clone()
        for suffix, order in (("", range(size)), ("_reverse", reversed(range(size)))):
            weights = [getattr(lstm, f"{kind}_l0{suffix}") for kind in kinds]
            h = c = torch.zeros(width, dtype=torch.float64)
            for i in order:
                h, c = lstm_step(weights, support.x[b, i], h, c)
                memory[i] = memory[i] + h
        contextual = []
        for q in query.x[b]:
            h = c = torch.zeros(width, dtype=torch.float64)
            for _ in range(steps):
                attention = torch.stack([h @ g for g in memory]).softmax(0)
                read = sum(a * g for a, g in zip(attention, memory, strict=True))
                gates = f.from_input.weight @ q + f.from_input.bias
                gates = gates + f.from_state.weight @ torch.cat([h, read])
                keep, admit, emit, new = gates.chunk(4)
                c = keep.sigmoid() * c + admit.sigmoid() * new.tanh()
                h = emit.sigmoid() * c.tanh() + q
            contextual.append(h)
        assert_attention(scores[b], contextual, memory, support.y[b])


def test_context_is_meta_learned():
    support, query = episodes()
    algorithm = build("matchingnet-fce")
    algorithm.loss(support, query).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in algorithm.parameters())
    assert not list(build("matchingnet").parameters())


def test_simpleshot_is_nearest_centroid_on_cl2n_features():
    support, query = episodes(batch=6, shots=(1, 2, 5, 3, 1), query=20, spread=1.5)
    base = torch.randn(500, 8, generator=torch.Generator().manual_seed(5)) + 2
    algorithm = build("simpleshot")
    algorithm.fit_features(base)
    torch.testing.assert_close(algorithm.feature_mean, base.mean(0))
    scores = algorithm.adapt(support)(query.x)
    for b in range(6):
        centroid = NearestCentroid().fit(
            F.normalize(support.x[b] - base.mean(0), dim=-1), support.y[b]
        )
        expected = centroid.predict(F.normalize(query.x[b] - base.mean(0), dim=-1))
        assert (scores[b].argmax(-1).numpy() == expected).all()


def test_simpleshot_without_meta_train_does_not_centre():
    support, query = episodes()
    scores = build("simpleshot").adapt(support)(query.x)
    unit = Support(F.normalize(support.x, dim=-1), support.y, 5)
    plain = build("protonet").adapt(unit)(F.normalize(query.x, dim=-1))
    torch.testing.assert_close(scores, plain)


def test_simpleshot_mean_is_saved_with_the_weights():
    algorithm, other = build("simpleshot"), build("simpleshot")
    algorithm.fit_features(torch.ones(3, 8))
    other.load_state_dict(algorithm.state_dict())
    assert (other.feature_mean == 1).all()


def test_nearest_neighbour_is_scikit_learns():
    support, query = episodes(batch=4, query=20, spread=1.5)
    scores = build("nearest-neighbour").adapt(support)(query.x)
    for b in range(4):
        knn = KNeighborsClassifier(1, metric="cosine").fit(support.x[b], support.y[b])
        assert (scores[b].argmax(-1).numpy() == knn.predict(query.x[b])).all()
        nearest = 1 - knn.kneighbors(query.x[b])[0][:, 0]
        torch.testing.assert_close(scores[b].amax(-1), torch.tensor(nearest))


def test_loss_is_the_cross_entropy_of_the_queries():
    support, query = episodes()
    algorithm = build("protonet")
    expected = task_loss(algorithm.adapt(support)(query.x), query.y)
    assert torch.equal(algorithm.loss(support, query), expected)
