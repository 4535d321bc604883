"""Baseline++ against the released head under torch's SGD."""

import pytest
import torch
from alg_cases import build, episodes
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from metabench.learners.contracts import Support


def plain(x, y, query, way):
    """The released head, whose start lies in a dimension that no example has."""
    x, query = (F.pad(z / (z.norm(dim=-1, keepdim=True) + 1e-5), (0, 1)) for z in (x, query))
    head = torch.nn.Linear(x.shape[-1], way, bias=False).double()
    with torch.no_grad():
        head.weight.zero_()
        head.weight[:, -1] = 3**-0.5
    head = weight_norm(head, dim=0)
    optimiser = torch.optim.SGD(
        head.parameters(), lr=0.01, momentum=0.9, dampening=0.9, weight_decay=0.001
    )
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        for batch in torch.randperm(len(y), generator=generator).split(4):
            optimiser.zero_grad()
            F.cross_entropy(2 * head(x[batch]), y[batch]).backward()
            optimiser.step()
    return 2 * head(query)


@pytest.mark.parametrize("shots", [1, 3, (1, 2, 6, 1, 3)])
def test_is_plain_sgd_on_a_weight_normalised_layer(shots):
    support, query = episodes(batch=2, shots=shots, dtype=torch.float64)
    found = build("baseline++", dtype=torch.float64).adapt(support)(query.x)
    for b in range(2):
        expected = plain(support.x[b], support.y[b], query.x[b], 5)
        torch.testing.assert_close(found[b], expected, atol=1e-9, rtol=1e-9)


def test_a_linear_layer_starts_as_long_as_assumed():
    torch.manual_seed(0)
    length = torch.nn.Linear(512, 400).weight.detach().norm(dim=1).mean()
    assert length == pytest.approx(3**-0.5, rel=0.01)


def test_length_of_an_example_does_not_matter():
    support, query = episodes()
    scores = build("baseline++").adapt(support)(query.x)
    longer = Support(support.x * torch.rand(3, 15, 1).add(1), support.y, 5)
    torch.testing.assert_close(
        build("baseline++").adapt(longer)(9 * query.x), scores, atol=1e-4, rtol=1e-4
    )


def test_dead_features_stay_finite():
    support, query = episodes()
    dead = Support(torch.zeros_like(support.x), support.y, 5)
    scores = build("baseline++").adapt(dead)(query.x)
    assert torch.equal(scores, torch.zeros_like(scores))


def test_separates_what_can_be_separated():
    support, query = episodes(batch=20, spread=0.1)
    right = build("baseline++").adapt(support)(query.x).argmax(-1) == query.y
    assert right.float().mean() > 0.98
