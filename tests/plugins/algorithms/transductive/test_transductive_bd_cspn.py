"""BD-CSPN against a loop over classes."""

import numpy as np
import pytest
import torch
from alg_cases import build, episodes
from transductive_cases import transduce

from metabench.learners.contracts import Support


def cosine(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def reference(xs, ys, xq, way, *, mean, shift, scale=10.0):
    """Scores of one episode, example after example."""
    xs, xq = ([(x - mean) / np.linalg.norm(x - mean) for x in part] for part in (xs, xq))
    basic = [np.mean([x for x, y in zip(xs, ys, strict=True) if y == k], 0) for k in range(way)]
    if shift:
        xi = np.mean(xs, 0) - np.mean(xq, 0)
        xq = [x + xi for x in xq]
    rectified = []
    for k in range(way):
        members = [x for x, y in zip(xs, ys, strict=True) if y == k]
        members += [x for x in xq if np.argmax([cosine(x, c) for c in basic]) == k]
        weights = np.array([np.exp(scale * cosine(x, basic[k])) for x in members])
        rectified.append(sum(w * x for w, x in zip(weights / weights.sum(), members, strict=True)))
    return np.array([[scale * cosine(x, c) for c in rectified] for x in xq])


@pytest.mark.parametrize("shots", [1, 3, (1, 4, 2, 1, 3)], ids=str)
@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("centre", [True, False])
def test_is_the_papers(shots, shift, centre):
    support, query = episodes(shots=shots, spread=1.2, dtype=torch.float64)
    algorithm = build("bd-cspn", dtype=torch.float64, shift=shift, centre=centre)
    base = torch.randn(100, 8, dtype=torch.float64) + 0.5
    algorithm.fit_features(base)
    mean = base.mean(0).numpy() if centre else np.zeros(8)
    found = transduce(algorithm, support, query.x)
    for b in range(3):
        expected = reference(
            support.x[b].numpy(), support.y[b], query.x[b].numpy(), 5, mean=mean, shift=shift
        )
        np.testing.assert_allclose(found[b].numpy(), expected, atol=1e-9)


def test_without_queries_it_is_the_cosine_prototype():
    support, query = episodes(shots=3)
    scores = build("bd-cspn").adapt(support)(query.x)
    unit = torch.nn.functional.normalize(support.x, dim=-1)
    for b in range(3):
        for k in range(5):
            prototype = unit[b, support.y[b] == k].mean(0, keepdim=True)
            expected = 10 * torch.cosine_similarity(query.x[b], prototype)
            torch.testing.assert_close(scores[b, :, k], expected, atol=1e-5, rtol=1e-5)


def test_a_class_that_nobody_joins_keeps_its_prototype():
    x = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]])
    support = Support(x, torch.tensor([[0, 1, 2]]), 3)
    query = torch.tensor([[[1.0, 0.2], [1.0, 0.1]]])
    scores = transduce(build("bd-cspn", way=3, width=2, shift=False), support, query)
    unit = torch.nn.functional.normalize(query, dim=-1)
    torch.testing.assert_close(scores[0, :, 1:], 10 * unit[0] @ x[0, 1:].T)
