"""TIM-ADM against a loop over the propositions' formulas, and its fixed points."""

import numpy as np
import pytest
import torch
from alg_cases import build, episodes
from scipy.special import softmax
from transductive_cases import tasks, transduce


def reference(xs, ys, xq, way, *, steps, weight=1.0, lam=0.1, alpha=0.1, tau=15.0):
    """Class probabilities of one episode's queries; sums over examples written out."""
    xs, xq = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (xs, xq))
    w = np.stack([xs[ys == k].mean(0) for k in range(way)])

    def posterior(x):
        return softmax([[-tau / 2 * ((f - c) ** 2).sum() for c in w] for f in x], axis=1)

    for _ in range(steps):
        ps, pq = posterior(xs), posterior(xq)
        power = pq ** (1 + alpha)
        q = power / power.sum(0) ** (weight / (1 + weight))
        q /= q.sum(1, keepdims=True)
        new = []
        for k in range(way):
            above, below = 0.0, 0.0
            for i, f in enumerate(xs):
                label = float(ys[i] == k)
                above += lam / (1 + alpha) * (label * f + ps[i, k] * (w[k] - f))
                below += lam / (1 + alpha) * label
            for i, f in enumerate(xq):
                ratio = len(xs) / len(xq)
                above += ratio * (q[i, k] * f + pq[i, k] * (w[k] - f))
                below += ratio * q[i, k]
            new.append(above / below)
        w = np.stack(new)
    return posterior(xq)


@pytest.mark.parametrize("width", [8, 60])
@pytest.mark.parametrize("shots", [1, (1, 4, 2, 1, 3)], ids=str)
@pytest.mark.parametrize("weight", [1.0, 0.0, 3.0])
def test_is_the_papers(shots, weight, width):
    support, query = episodes(shots=shots, spread=1.2, width=width, dtype=torch.float64)
    options = {"iterations": 25, "marginal_weight": weight}
    algorithm = build("tim", width=width, dtype=torch.float64, **options)
    found = transduce(algorithm, support, query.x).softmax(-1)
    for b in range(3):
        x, y, q = support.x[b].numpy(), support.y[b].numpy(), query.x[b].numpy()
        expected = reference(x, y, q, 5, steps=25, weight=weight)
        np.testing.assert_allclose(found[b].numpy(), expected, atol=1e-8)


def objective(support, query, logits_s, logits_q):
    ce = -(logits_s.log_softmax(-1).gather(-1, support.y.unsqueeze(-1))).mean(1).sum()
    p = logits_q.softmax(-1)
    marginal = -(p.mean(1) * p.mean(1).log()).sum()
    conditional = -(p * logits_q.log_softmax(-1)).sum(-1).mean(1).sum()
    return float(0.1 * ce - marginal + 0.1 * conditional)


def test_the_objective_falls():
    support, query, _ = tasks(batch=10, shots=2)
    values = []
    for iterations in (0, 10, 150):
        predict = build("tim", width=64, iterations=iterations).adapt_transductive(support, query)
        values.append(objective(support, query, predict(support.x), predict(query)))
    assert values[0] > values[1] > values[2]


def test_without_queries_it_is_the_nearest_mean():
    support, query = episodes(shots=3)
    none = transduce(build("tim", iterations=0), support, query.x).softmax(-1)
    torch.testing.assert_close(build("tim").adapt(support)(query.x).softmax(-1), none)
    simple = build("simpleshot").adapt(support)(query.x)
    torch.testing.assert_close(none, (7.5 * simple).softmax(-1), atol=1e-5, rtol=1e-4)
