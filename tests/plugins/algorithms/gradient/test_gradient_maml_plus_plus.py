"""MAML++: each of its parts by itself, and all of them together."""

import math

import pytest
import torch
from gradient_cases import Case
from torch.func import functional_call
from torch.nn import functional as F

from metabench.errors import UsageError
from metabench.learners.recipes import EpisodicRecipe
from metabench_algorithms.gradient.maml_plus_plus import MAMLPlusPlusRecipe

OFF = {
    "multi_step": 0.0,
    "first_order_share": 0.0,
    "learn_rates": False,
    "per_step_norm": False,
}
STEPS = {"inner_steps": 3, "test_steps": 3, "inner_lr": 0.3}


def test_without_its_parts_it_is_maml():
    plus, plain = Case("maml++", **STEPS, **OFF), Case("maml", **STEPS)
    torch.testing.assert_close(plus.loss(), plain.loss())
    assert plus.gradient().keys() == plain.gradient().keys()
    torch.testing.assert_close(plus.gradient(), plain.gradient())


@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize("progress", [0.2, 1.0])
def test_meta_gradient_is_the_finite_difference(progress, kind):
    rate = 0.3 if kind == "classification" else 0.02
    options = {**STEPS, "inner_lr": rate, "multi_step": 0.5, "first_order_share": 0.0}
    case = Case("maml++", kind=kind, **options).jitter(0.02)
    case.learner.progress = progress
    case.check_finite_difference()
    found = case.gradient()
    assert all(found[name].abs().max() > 0 for name in found if name.startswith("rates"))
    if progress < 0.5:
        assert all(found[name].abs().amax(-1).min() > 0 for name in found if "norms" in name)


def plain_loss(case, importance):
    """All of it for one episode after the other."""
    learner, model = case.learner, case.model
    names = [n for n, _ in torch.nn.Sequential(model, learner.head).named_parameters()]
    losses = []
    for xs, ys, xq, yq in zip(
        case.support.x, case.support.y, case.query.x, case.query.y, strict=True
    ):
        network = torch.nn.Sequential(model, learner.head)
        weights = dict(network.named_parameters())
        free = [n for n in names if "norm" not in n]
        for step in range(3):
            at = {**weights, "0.norm.weight": learner.norms[0][step]}
            at["0.norm.bias"] = learner.norms[1][step]
            loss = F.cross_entropy(functional_call(network, at, ({"x": xs},)), ys)
            slopes = torch.autograd.grad(loss, [weights[n] for n in free], create_graph=True)
            for number, (name, g) in enumerate(zip(free, slopes, strict=True)):
                weights[name] = weights[name] - learner.rates.values[number][step] * g
            at.update({n: weights[n] for n in free})
            asked = F.cross_entropy(functional_call(network, at, ({"x": xq},)), yq)
            losses.append(importance[step] * asked)
    return torch.stack(losses).sum() / 3


def test_loss_is_that_of_the_plain_loop():
    case = Case("maml++", **STEPS, multi_step=0.5, first_order_share=0.0).jitter(0.02)
    case.learner.progress = 0.25
    importance = [1 / 6, 1 / 6, 2 / 3]
    assert case.learner.importance() == pytest.approx(importance)
    expected = plain_loss(case, importance)
    torch.testing.assert_close(case.loss(), expected)
    weights = list(case.weights.values())
    gradient = torch.autograd.grad(expected, weights, allow_unused=True, materialize_grads=True)
    torch.testing.assert_close(list(case.gradient().values()), list(gradient))


def test_importance_moves_to_the_last_step():
    learner = Case("maml++").learner
    learner.progress = 0.0
    assert learner.importance() == pytest.approx([0.2] * 5)
    learner.progress = 0.0999
    assert learner.importance() == pytest.approx([0.006] * 4 + [0.976])
    learner.progress = 0.1
    assert learner.importance() == [0, 0, 0, 0, 1]


def test_second_order_begins_after_a_share_of_the_budget():
    found = {}
    for progress in (0.3, 0.4):
        case = Case("maml++", **STEPS)
        case.learner.progress = progress
        found[progress] = case.gradient()["second.weight"]
    first = Case("maml++", **STEPS, first_order=True).gradient()["second.weight"]
    second = Case("maml++", **STEPS, first_order_share=0.0).gradient()["second.weight"]
    torch.testing.assert_close(found[0.3], first)
    torch.testing.assert_close(found[0.4], second)
    assert not torch.allclose(first, second, rtol=1e-2)


def test_more_steps_at_test_use_the_last_rates_and_norms():
    case = Case("maml++", inner_steps=2, test_steps=4).jitter(0.02)
    case.learner.eval()
    same = Case("maml++", inner_steps=4, test_steps=4)
    state = case.learner.state_dict()
    state = {k: torch.cat([v, v[-1:], v[-1:]]) if k[0] in "nr" else v for k, v in state.items()}
    same.learner.load_state_dict(state)
    same.model.load_state_dict(case.model.state_dict())
    same.learner.eval()
    torch.testing.assert_close(same.scores(), case.scores())


def test_recipe_reads_the_progress_off_the_cosine(monkeypatch):
    class Setting:
        model = torch.nn.Module()

    learner = Case("maml++").learner
    Setting.model.algorithm = learner
    recipe = object.__new__(MAMLPlusPlusRecipe)
    recipe.setting, recipe.hyper = Setting, learner.hyper
    monkeypatch.setattr(EpisodicRecipe, "update", lambda *_: 0.0)
    optimiser = torch.optim.SGD(learner.parameters(), 1.0)
    for progress in (0.0, 0.1, 0.5, 0.99):
        factor = 0.5 * (1 + math.cos(math.pi * progress))
        optimiser.param_groups[0]["lr"] = learner.hyper.learning_rate * factor
        recipe.update(0, optimiser)
        assert learner.progress == pytest.approx(progress, abs=1e-6)


def test_settings_are_checked():
    with pytest.raises(UsageError, match="tells nothing of the budget"):
        Case("maml++", schedule="constant")
    with pytest.raises(UsageError, match="must be at least 0 and at most 1"):
        Case("maml++", multi_step=2.0)
    Case("maml++", schedule="constant", multi_step=0.0, first_order_share=0.0)


def test_encoder_without_batch_norm():
    case = Case("maml++")
    case.model.norm = torch.nn.Identity()
    fresh = type(case.learner)(case.learner.task, case.learner.hyper).double().train()
    assert not len(fresh.norms)
    support, query = case.view()
    assert fresh.loss(support, query).isfinite()
