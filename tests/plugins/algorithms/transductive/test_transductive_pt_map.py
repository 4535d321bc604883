"""PT-MAP against a loop with Sinkhorn's algorithm, and the transport against its conditions."""

import numpy as np
import pytest
import torch
from alg_cases import build, episodes
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from transductive_cases import transduce

from metabench.learners.contracts import Support
from metabench_algorithms.transductive.transport import log_plan

SHARPNESS = 4.0  # milder than the paper's 10, at which Sinkhorn can take 100,000 steps


def sinkhorn(cost, sharpness, mass):
    plan = np.exp(-sharpness * cost)
    for _ in range(5000):
        plan *= mass / plan.sum(0)
        rows = plan.sum(1, keepdims=True)
        plan /= rows
        if abs(rows - 1).max() < 1e-9:
            return plan
    raise AssertionError("the reference has not converged")


def scaled(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def reference(xs, ys, xq, prior):
    """Assignments of one episode's queries."""
    xs, xq = (scaled(np.where(x < 0, -1, 1) * (abs(x) + 1e-6) ** 0.5) for x in (xs, xq))
    xs, xq = scaled(xs - xs.mean(0)), scaled(xq - xq.mean(0))
    way, steps = 5, 20
    shots = np.bincount(ys, minlength=way)
    mass = {"balanced": np.ones(way), "support": shots + 1.0}.get(prior)
    centre = np.stack([xs[ys == k].mean(0) for k in range(way)])
    for step in range(steps + 1):
        cost = np.array([[((q - c) ** 2).sum() for c in centre] for q in xq])
        if mass is None:
            plan = softmax(-SHARPNESS * cost, axis=1)
        else:
            plan = sinkhorn(cost, SHARPNESS, len(xq) * mass / mass.sum())
        if step == steps:
            return plan
        for k in range(way):
            both = xs[ys == k].sum(0) + plan[:, k] @ xq
            centre[k] += 0.2 * (both / (shots[k] + plan[:, k].sum()) - centre[k])
    return None


@pytest.mark.parametrize("prior", ["balanced", "support", "none"])
@pytest.mark.parametrize("shots", [1, (1, 4, 2, 1, 3)], ids=str)
@pytest.mark.parametrize("relu", [True, False])
def test_is_the_papers(shots, prior, relu):
    support, query = episodes(shots=shots, spread=2.5, dtype=torch.float64)
    known, asked = (x.relu() if relu else x for x in (support.x, query.x))
    algorithm = build("pt-map", dtype=torch.float64, prior=prior, sharpness=SHARPNESS)
    found = transduce(algorithm, Support(known, support.y, 5), asked).exp()
    for b in range(3):
        expected = reference(known[b].numpy(), support.y[b].numpy(), asked[b].numpy(), prior)
        np.testing.assert_allclose(found[b].numpy(), expected, atol=1e-5)


def test_every_class_gets_its_share():
    support, query = episodes(way=2, shots=(6, 2), query=10)
    for prior, share in (("balanced", (10, 10)), ("support", (14, 6))):
        plan = transduce(build("pt-map", way=2, prior=prior), support, query.x).exp()
        expected = torch.tensor([share], dtype=torch.float32).expand(3, -1)
        torch.testing.assert_close(plan.sum(1), expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(plan.sum(2), torch.ones(3, 20))


@settings(max_examples=40)
@given(
    seed=st.integers(0, 9999),
    way=st.integers(2, 8),
    queries=st.integers(1, 40),
    sharpness=st.sampled_from([0.0, 1.0, 40.0, 400.0]),
)
def test_transport_meets_its_conditions(seed, way, queries, sharpness):
    g = torch.Generator().manual_seed(seed)
    logits = -sharpness * torch.rand(3, queries, way, generator=g, dtype=torch.float64)
    mass = torch.rand(3, way, generator=g, dtype=torch.float64) + 0.05
    mass = queries * mass / mass.sum(1, keepdim=True)
    log = log_plan(logits, mass)
    torch.testing.assert_close(log.exp().sum(1), mass, atol=1e-5, rtol=0)
    # The plan is the kernel, its rows and columns scaled: what is left over is a sum of both.
    left = log - logits
    left = left - left[:, :1] - left[:, :, :1] + left[:, :1, :1]
    torch.testing.assert_close(left, torch.zeros_like(left), atol=1e-8 * (1 + sharpness), rtol=0)


def test_transport_of_classes_far_apart():
    logits = torch.full((1, 20, 2), -200.0, dtype=torch.float64)
    logits[0, :15, 0], logits[0, 15:, 1] = 0.0, 0.0
    plan = log_plan(logits, torch.full((1, 2), 10.0, dtype=torch.float64)).exp()
    torch.testing.assert_close(plan.sum(1), torch.full((1, 2), 10.0, dtype=torch.float64))
    torch.testing.assert_close(plan[0, :15, 0], torch.full((15,), 2 / 3, dtype=torch.float64))
