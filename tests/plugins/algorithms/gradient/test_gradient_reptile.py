"""Reptile: where training on a task ends, and how far the weights go there."""

import copy

import pytest
import torch
from gradient_cases import Case
from torch.nn import functional as F

from metabench.learners.recipes import EpisodicRecipe
from metabench_algorithms.gradient.reptile import ReptileRecipe


def plain(case, x, y, optimiser, steps):
    """Train a deep copy with torch's own optimiser."""
    network = copy.deepcopy(torch.nn.Sequential(case.model, case.learner.head)).train()
    rule = optimiser(network.parameters())
    for _ in range(steps):
        rule.zero_grad()
        output = network({"x": x})
        loss = F.mse_loss(output, y) if y.is_floating_point() else F.cross_entropy(output, y)
        loss.backward()
        rule.step()
    return network


def adam(parameters):
    return torch.optim.Adam(parameters, 1e-3, betas=(0.0, 0.999))


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_adaptation_is_that_of_a_torch_optimiser(kind):
    case = Case("reptile", kind=kind)
    optimiser, steps = adam, 5
    if kind == "regression":
        optimiser, steps = (lambda parameters: torch.optim.SGD(parameters, 0.02)), 32
    found = case.scores()
    for i in range(3):
        network = plain(case, case.support.x[i], case.support.y[i], optimiser, steps)
        with torch.no_grad():
            expected = network({"x": case.query.x[i]})
        torch.testing.assert_close(found[i], expected, rtol=1e-6, atol=1e-8)


def test_gradient_points_from_the_mean_of_the_ends():
    case = Case("reptile", inner_batch=20)  # the whole task: 10 support and 10 query examples
    x = torch.cat([case.support.x, case.query.x], 1)
    y = torch.cat([case.support.y, case.query.y], 1)
    ends = [dict(plain(case, x[i], y[i], adam, 3).named_parameters()) for i in range(3)]
    found = case.gradient()
    here = dict(torch.nn.Sequential(case.model, case.learner.head).named_parameters())
    for (name, w), g in zip(here.items(), found.values(), strict=True):
        expected = w - torch.stack([end[name] for end in ends]).mean(0)
        torch.testing.assert_close(g, expected, rtol=1e-6, atol=1e-8)


def test_recipe_goes_a_share_of_the_way(monkeypatch):
    case = Case("reptile", inner_batch=20)
    before = {name: w.detach().clone() for name, w in case.weights.items()}
    way = case.gradient()
    monkeypatch.setattr(EpisodicRecipe, "loss", lambda *_: case.loss())
    recipe = object.__new__(ReptileRecipe)
    optimiser = torch.optim.Adam(case.weights.values(), 0.25)
    assert recipe.update(0, optimiser) == pytest.approx(case.loss().item(), rel=0.1)
    for name, w in case.weights.items():
        torch.testing.assert_close(w.detach(), before[name] - 0.25 * way[name])


def test_mini_batches_go_through_the_task_before_they_repeat():
    case = Case("reptile", inner_batch=8, inner_steps=5)
    seen = []
    original = case.learner._train_on
    case.learner._train_on = lambda task, batches: (
        seen.extend(map(torch.clone, batches)) or original(task, batches)
    )
    case.loss()
    for number in range(3):  # one for each episode
        order = torch.cat(seen[5 * number : 5 * number + 5])
        assert [len(b) for b in seen[5 * number : 5 * number + 5]] == [8] * 5
        assert sorted(order[:20].tolist()) == list(range(20)) == sorted(order[20:].tolist())
