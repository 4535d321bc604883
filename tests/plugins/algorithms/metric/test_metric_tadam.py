"""TADAM against its equations, episode by episode."""

import pytest
import torch
from alg_cases import build, episodes
from torch.nn import functional as F

from metabench_algorithms.metric.tadam import TADAMHyperparameters


def prototypes(x, y, way):
    return torch.stack([x[y == c].mean(0) for c in range(way)])


def test_untrained_tadam_is_a_scaled_prototypical_network():
    support, query = episodes(shots=(1, 4, 2), way=3, dtype=torch.float64)
    scores = build("tadam", way=3, dtype=torch.float64, scale=5.0).adapt(support)(query.x)
    for b in range(3):
        centres = prototypes(support.x[b], support.y[b], 3)
        torch.testing.assert_close(scores[b], -5 * torch.cdist(query.x[b], centres))


def swish(x):
    return x * torch.sigmoid(x)


def embedded(network, task):
    first, second, third = network.first, *network.others
    one = swish(first(task))
    two = swish(second(one) + one)
    return third(two) + two


def test_layer_is_conditioned_on_the_mean_of_the_prototypes():
    support, query = episodes(shots=(1, 4, 2), way=3, dtype=torch.float64)
    algorithm = build("tadam", way=3, dtype=torch.float64, layer_width=5)
    with torch.no_grad():
        algorithm.multipliers.copy_(torch.tensor([0.7, -1.3]))
        algorithm.leave.weight.normal_()
    scores = algorithm.adapt(support)(query.x)
    for b in range(3):
        task = prototypes(support.x[b], support.y[b], 3).mean(0)
        gamma = 0.7 * embedded(algorithm.to_gamma, task) + 1
        beta = -1.3 * embedded(algorithm.to_beta, task)

        def moved(x, gamma=gamma, beta=beta):
            return x + algorithm.leave(swish(gamma * algorithm.enter(x) + beta))

        centres = prototypes(moved(support.x[b]), support.y[b], 3)
        torch.testing.assert_close(scores[b], -torch.cdist(moved(query.x[b]), centres))


def test_missing_class_is_no_part_of_the_task():
    support, query = episodes(way=2, shots=(0, 4), dtype=torch.float64)
    algorithm = build("tadam", way=2, kind="binary", dtype=torch.float64)
    with torch.no_grad():
        algorithm.multipliers.fill_(1.0)
        algorithm.leave.weight.normal_()
    present = algorithm.adapt(support)(query.x)[..., 1]
    one = type(support)(support.x, torch.zeros_like(support.y), 1)
    torch.testing.assert_close(algorithm.adapt(one)(query.x)[..., 0], present)


def test_multipliers_are_penalised():
    support, query = episodes()
    algorithm = build("tadam", penalty=0.5)
    free = algorithm.loss(support, query)
    with torch.no_grad():
        algorithm.multipliers.copy_(torch.tensor([2.0, 1.0]))
    scores = algorithm.adapt(support)(query.x)  # the layer adds nothing yet
    plain = F.cross_entropy(scores.flatten(0, 1), query.y.flatten())
    torch.testing.assert_close(free, plain)
    torch.testing.assert_close(algorithm.loss(support, query), plain + 0.25 * 5)


def test_query_at_a_prototype_has_a_gradient():
    support, query = episodes(shots=1)
    x = support.x.clone().requires_grad_()
    same = type(query)(x, support.y)
    build("tadam").loss(type(support)(x, support.y, 5), same).backward()
    assert x.grad.isfinite().all()


def test_tadam_learns_what_the_task_is():
    """A task lies at +1 or -1, and only one half of the features counts in each."""

    def draw(seed):
        support, query = episodes(seed, batch=8, width=8, spread=0.3)
        side = 2.0 * torch.randint(2, (8, 1, 1), generator=torch.Generator().manual_seed(seed)) - 1
        noise = torch.tensor([1.0] * 4 + [0.0] * 4)
        noise = torch.where(side > 0, noise, 1 - noise)
        g = torch.Generator().manual_seed(seed + 1)
        x = [p.x + 2 * noise * torch.randn(p.x.shape, generator=g) + side for p in (support, query)]
        return type(support)(x[0], support.y, 5), type(query)(x[1], query.y)

    algorithm = build("tadam")
    accuracy = []
    optimiser = torch.optim.Adam(algorithm.parameters(), 5e-3)
    for seed in range(150):
        support, query = draw(seed)
        optimiser.zero_grad()
        algorithm.loss(support, query).backward()
        optimiser.step()
        with torch.no_grad():
            right = algorithm.adapt(support)(query.x).argmax(-1) == query.y
        accuracy.append(right.float().mean().item())
    assert sum(accuracy[-20:]) / 20 > 0.08 + sum(accuracy[:20]) / 20
    assert algorithm.multipliers.abs().min() > 0


@pytest.mark.parametrize("name", ["layer_width", "layers"])
def test_networks_need_a_size(name):
    with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
        TADAMHyperparameters(**{name: 0})
