"""Relation networks against the concatenated pairs of the paper, pair by pair."""

import copy

import pytest
import torch
from alg_cases import build, episodes, target
from torch import nn
from torch.nn import functional as F

from metabench.learners.contracts import Query, Support, TaskSpec
from metabench_algorithms.metric import relation

SHAPES = [(5, 7, 6), (5, 9), (5, 2, 2), (5, 1, 1), (12,)]


def built(shape, *, way=3, **options):
    torch.manual_seed(0)
    cls = target("relationnet")
    width = shape[0] if len(shape) == 1 else 99
    task = TaskSpec("classification", way, width, map_shape=None if len(shape) == 1 else shape)
    algorithm = cls(task, cls.Hyperparameters(**options)).double()
    for norm in algorithm.relation.norms:
        for tensor in (norm.running_mean, norm.weight.data, norm.bias.data):
            tensor.normal_()
        norm.running_var.uniform_(0.5, 2)
    return algorithm.eval()


def mapped(support, query, shape):
    """Give the examples the shape of maps."""
    return (
        Support(support.x.unflatten(2, shape), support.y, support.way),
        Query(query.x.unflatten(2, shape), query.y),
    )


def tasks(shape, **more):
    size = torch.Size(shape).numel()
    return mapped(*episodes(batch=2, way=3, width=size, dtype=torch.float64, **more), shape)


def related(module, pairs, *, training=False):
    """Score ``[n, 2C, H, W]`` pairs of concatenated maps by the layers in the paper's order."""
    first = torch.cat([module.of_class.weight, module.of_query.weight], 1)
    padding = first.shape[-1] // 2
    x = F.conv2d(pairs, first, module.of_class.bias, padding=padding)
    for i, norm in enumerate(module.norms):
        mean, var = norm.running_mean, norm.running_var
        if training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        x = (x - mean[:, None, None]) / (var[:, None, None] + norm.eps).sqrt()
        x = F.relu(x * norm.weight[:, None, None] + norm.bias[:, None, None])
        x = nn.MaxPool2d((min(2, x.shape[2]), min(2, x.shape[3])))(x)
        if not i:
            x = F.conv2d(x, module.second.weight, module.second.bias, padding=padding)
    one, _, two = module.head
    return two(F.relu(one(x.flatten(1)))).squeeze(1)


def pairs_of(support, query, b, scale=None):
    """Every query's map next to the sum (or scaled mean) of each class's maps, query by query."""
    sums = []
    for c in range(support.way):
        own = support.x[b][support.y[b] == c]
        sums.append(own.sum(0) if scale is None else own.mean(0) * scale)
    pairs = [torch.cat([one, q]) for q in query.x[b] for one in sums]
    return torch.stack([(p.reshape(len(p), *(*p.shape[1:], 1, 1)[:2])) for p in pairs])


@pytest.mark.parametrize("training", [False, True], ids=["running", "batch"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@torch.no_grad()
def test_scores_are_those_of_concatenated_pairs(shape, training):
    algorithm = built(shape, batch_statistics=training)
    support, query = tasks(shape)
    scores = algorithm.adapt(support)(query.x)
    for b in range(2):
        pairs = pairs_of(support, query, b)
        expected = related(algorithm.relation, pairs, training=training).view(-1, 3)
        torch.testing.assert_close(scores[b], expected)


@torch.no_grad()
def test_uneven_shots_do_not_add_up():
    algorithm = built((5, 7, 6))
    support, query = tasks((5, 7, 6), shots=(1, 4, 1))
    pairs = pairs_of(support, query, 0, scale=2)
    expected = related(algorithm.relation, pairs).view(-1, 3)
    torch.testing.assert_close(algorithm.adapt(support)(query.x)[0], expected)


@torch.no_grad()
def test_parts_give_the_same_as_the_whole(monkeypatch):
    algorithm = built((5, 7, 6))
    support, query = tasks((5, 7, 6))
    whole = algorithm.adapt(support)(query.x)
    monkeypatch.setattr(relation, "PAIRS", 7)
    torch.testing.assert_close(algorithm.adapt(support)(query.x), whole)


def test_loss_is_the_squared_error_of_relation_scores():
    algorithm = built((12,))
    support, query = tasks((12,))
    scores = 1 / (1 + (-algorithm.adapt(support)(query.x)).exp())
    expected = 0.0
    for row, truth in zip(scores.tolist(), query.y.tolist(), strict=True):
        for line, y in zip(row, truth, strict=True):
            expected += sum((score - (c == y)) ** 2 for c, score in enumerate(line))
    assert algorithm.loss(support, query).item() == pytest.approx(expected / scores.numel())


@torch.no_grad()
def test_batch_statistics_are_those_of_one_episode_and_leave_no_trace():
    algorithm = built((5, 7, 6), batch_statistics=True)
    before = copy.deepcopy(algorithm.state_dict())
    support, query = tasks((5, 7, 6))
    scores = algorithm.adapt(support)(query.x)
    other = Query(torch.cat([query.x[:1], 9 * query.x[1:]]), query.y)
    torch.testing.assert_close(algorithm.adapt(support)(other.x)[0], scores[0], rtol=0, atol=0)
    alone = algorithm.adapt(support)(query.x[:, :3])
    assert not torch.allclose(alone, scores[:, :3], atol=1e-3)
    assert all(torch.equal(t, before[name]) for name, t in algorithm.state_dict().items())


@pytest.mark.parametrize("shape", [(8,), (2, 2, 2)], ids=str)
def test_relationnet_learns(shape):
    cls = target("relationnet")
    torch.manual_seed(0)
    algorithm = cls(TaskSpec("classification", 3, 8, map_shape=shape if shape[1:] else None))
    optimiser = torch.optim.Adam(algorithm.parameters(), 1e-2)
    more = {"way": 3, "spread": 0.3, "shots": 5}
    for seed in range(120):
        support, query = mapped(*episodes(seed, batch=2, **more), shape)
        optimiser.zero_grad()
        algorithm.loss(support, query).backward()
        optimiser.step()
    algorithm.eval()
    support, query = mapped(*episodes(9999, batch=20, **more), shape)
    with torch.no_grad():
        right = algorithm.adapt(support)(query.x).argmax(-1) == query.y
    assert right.float().mean() > 0.7


@pytest.mark.parametrize("name", ["channels", "hidden"])
def test_layers_need_a_width(name):
    with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
        target("relationnet").Hyperparameters(**{name: 0})


def test_the_variant_is_the_same_learner():
    assert build("relationnet-bn").hyper.batch_statistics
    assert not build("relationnet").hyper.batch_statistics
