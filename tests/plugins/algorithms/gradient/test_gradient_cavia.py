"""CAVIA: the context alone is adapted."""

import pytest
import torch
from alg_cases import build, curves, episodes
from gradient_cases import F64, Case
from torch.nn import functional as F


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_meta_gradient_is_the_finite_difference(kind):
    Case("cavia", kind=kind).jitter(0.05).check_finite_difference(rel=1e-5)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_is_the_plain_loop(kind):
    film = kind == "classification"
    way = 5 if film else 2
    learner = build("cavia", kind=kind, way=way, dtype=F64).train()
    support, query = episodes(dtype=F64) if film else curves(outputs=2, dtype=F64)
    found = learner.adapt(support)(query.x)

    def network(x, context):
        h = learner.first(x)
        if film:
            h = (h - h.mean(1, keepdim=True)) / (h.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
            h = h * (learner.scale.weight @ context + learner.scale.bias)
        h = F.relu(h + learner.shift.weight @ context)
        return learner.head(F.relu(learner.second(h)))

    for i, y in enumerate(support.y):
        context = torch.zeros(100 if film else 5, dtype=F64, requires_grad=True)
        for _ in range(2 if film else 1):
            scores = network(support.x[i], context)
            loss = F.cross_entropy(scores, y) if film else F.mse_loss(scores, y)
            context = context - torch.autograd.grad(loss, context)[0]
        torch.testing.assert_close(found[i], network(query.x[i], context))


def test_first_order_has_another_gradient():
    second, first = (
        Case("cavia", first_order=order).gradient()["first.weight"] for order in (False, True)
    )
    assert not torch.allclose(first, second, rtol=1e-2)


def test_joined_input_is_a_shift():
    """In regression: a first layer that reads embedding and context side by side."""
    learner = build("cavia", kind="regression", way=1, dtype=F64)
    x, context = torch.randn(1, 4, 8, dtype=F64), torch.randn(1, 1, 5, dtype=F64)
    weight = torch.cat([learner.first.weight, learner.shift.weight], 1)
    joined = torch.cat([x, context.expand(-1, 4, -1)], -1)
    h = F.relu(F.linear(joined, weight, learner.first.bias))
    expected = learner.head(F.relu(learner.second(h)))
    torch.testing.assert_close(learner._after(learner._before(x), context, 1), expected)
