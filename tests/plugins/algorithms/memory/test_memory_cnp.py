"""Conditional neural processes against the paper's equations, and that they learn."""

import pytest
import torch
from alg_cases import build, curves, episodes
from torch.distributions import Normal
from torch.nn import functional as F

from metabench.errors import UsageError
from metabench.learners.contracts import Query, Support, task_loss

F64 = torch.float64


@torch.no_grad()
def gaussian(cnp, support, query, b):
    """Means and deviations ``[Q, k]`` of one episode, example by example."""
    read = [cnp.encoder(torch.cat([x, y])) for x, y in zip(support.x[b], support.y[b], strict=True)]
    r = torch.stack(read).mean(0)
    means, deviations = [], []
    for q in query.x[b]:
        out = cnp.decoder(cnp.from_query(q) + cnp.from_support(r))
        k = len(out) // 2
        means.append(out[:k])
        deviations.append(0.1 + 0.9 * F.softplus(out[k:]))
    return torch.stack(means), torch.stack(deviations)


@pytest.mark.parametrize("outputs", [1, 3])
def test_regression_is_the_equations(outputs):
    support, query = curves(outputs=outputs, dtype=F64)
    cnp = build("cnp", kind="regression", way=outputs, dtype=F64)
    found, loss = cnp.adapt(support)(query.x), cnp.loss(support, query)
    densities = []
    for b in range(3):
        mean, deviation = gaussian(cnp, support, query, b)
        torch.testing.assert_close(found[b], mean)
        densities.append(Normal(mean, deviation).log_prob(query.y[b]))
    torch.testing.assert_close(loss, -torch.stack(densities).mean())


def test_classes_are_scored_by_their_own_and_the_common_representation():
    support, query = episodes(way=3, shots=(2, 0, 3), dtype=F64)
    cnp = build("cnp", way=3, dtype=F64)
    found = cnp.adapt(support)(query.x)
    for b in range(3):
        read = cnp.encoder(support.x[b])
        own = [
            read[support.y[b] == c].sum(0) / max(1, int((support.y[b] == c).sum()))
            for c in range(3)
        ]
        everyone = (own[0] + own[2]) / 2
        for c in range(3):
            seen = cnp.from_support(torch.cat([own[c], everyone]))
            expected = cnp.decoder(cnp.from_query(query.x[b]) + seen)[:, 0]
            torch.testing.assert_close(found[b, :, c], expected)
    torch.testing.assert_close(cnp.loss(support, query), task_loss(found, query.y))


def trained(kind, draw, steps, **shape):
    cnp = build("cnp", kind=kind, hidden=64, **shape).train()
    optimiser = torch.optim.Adam(cnp.parameters(), 1e-3)
    for seed in range(steps):
        optimiser.zero_grad()
        cnp.loss(*draw(seed)).backward()
        optimiser.step()
    return cnp.eval()


def test_any_way_will_do_and_classes_are_learned():
    def draw(seed, way=4):
        return episodes(seed, batch=16, way=way, shots=2, width=4, spread=0.2)

    cnp = trained("classification", draw, 150, way=4, width=4)
    for way in (2, 4, 6):
        support, query = draw(10_000, way)
        right = cnp.adapt(support)(query.x).argmax(-1) == query.y
        assert right.float().mean() > 1.5 / way if way > 2 else right.float().mean() > 0.8


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_values_of_any_scale_are_learned(scale):
    def draw(seed):
        g = torch.Generator().manual_seed(seed)
        x = 4 * torch.rand(16, 20, 1, generator=g) - 2
        phase = 3 * torch.rand(16, 1, 1, generator=g)
        y = scale * (5 + torch.sin(x + phase))
        return Support(x[:, :10], y[:, :10], 1), Query(x[:, 10:], y[:, 10:])

    cnp = trained("regression", draw, 200, way=1, width=1)
    support, query = draw(10_000)
    error = (cnp.adapt(support)(query.x) - query.y).square().mean()
    plain = (support.y.mean(1, keepdim=True) - query.y).square().mean()
    assert error < 0.3 * plain


@pytest.mark.parametrize(
    ("option", "least"), [("hidden", 1), ("encoder_layers", 1), ("decoder_layers", 2)]
)
def test_settings_are_checked(option, least):
    with pytest.raises(UsageError, match=f"{option}=0 must be at least {least}"):
        build("cnp", **{option: 0})
