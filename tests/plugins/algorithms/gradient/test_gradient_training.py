"""What the relatives of MAML have in common: they learn, and leave weights alone."""

import copy

import pytest
import torch
from alg_cases import FoldedEncoder, build, episodes
from gradient_cases import ADAPTING, F64, Case, classes, lines, trained

from metabench.errors import UsageError
from metabench.learners.contracts import task_loss

STEPS = {"cavia": 250, "imaml": 40}
FASTER = {"reptile": {"inner_lr": 0.01}}
# Its inner step sizes are of that order too, and have to stay small.
LONGER = {"reptile": {"inner_steps": 8, "inner_batch": 10}, "maml++": {"rate": 2e-3}}


@pytest.mark.parametrize("name", [*ADAPTING, "cavia"])
def test_meta_training_helps_on_new_tasks(name):
    found = []
    for steps in (0, STEPS.get(name, 80)):
        case = trained(name, steps, **FASTER.get(name, {}))
        case.support, case.query = classes(9999, batch=40, query=5)
        found.append((case.scores().argmax(-1) == case.query.y).double().mean().item())
    assert found[1] > found[0] + (0.005 if name == "proto-maml" else 0.05)


@pytest.mark.parametrize("name", [n for n in (*ADAPTING, "cavia") if n != "proto-maml"])
def test_meta_training_helps_in_regression(name):
    found = []
    for steps in (0, STEPS.get(name, 150)):
        case = trained(name, steps, kind="regression", **LONGER.get(name, {}))
        case.support, case.query = lines(9999, batch=40)
        found.append(task_loss(case.scores(), case.query.y).item())
    assert found[1] < 0.9 * found[0]


@pytest.mark.parametrize("name", ADAPTING)
def test_adapting_leaves_everything_alone(name):
    case = Case(name)
    before = copy.deepcopy((case.model.state_dict(), case.learner.state_dict()))
    first = case.scores()
    case.loss()
    after = (case.model.state_dict(), case.learner.state_dict())
    for old, new in zip(before, after, strict=True):
        assert all(torch.equal(old[k], new[k]) for k in old)
    assert torch.equal(case.scores(), first)
    assert all(w.grad is None for w in case.weights.values())


@pytest.mark.parametrize("name", ADAPTING)
def test_encoder_that_embeds_copies_at_once_gives_the_same(name):
    plain, folded = Case(name), Case(name, encoder=FoldedEncoder)
    torch.testing.assert_close(folded.scores(), plain.scores())
    gradients = []
    for case in (plain, folded):
        torch.manual_seed(0)  # Reptile draws its mini-batches
        gradients.append(case.gradient())
    if name != "reptile":  # it draws them per chunk of episodes
        torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.parametrize("name", ADAPTING)
def test_support_order_is_without_effect(name):
    case = Case(name)
    before = case.scores()
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    case.support = type(case.support)(case.support.x[:, order], case.support.y[:, order], 5)
    torch.testing.assert_close(case.scores(), before)


@pytest.mark.parametrize("name", ADAPTING)
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.enable_grad])
def test_adapts_whatever_the_gradient_mode(name, mode):
    case = Case(name)
    case.learner.eval()
    support, query = case.view()
    expected = case.scores()
    with mode():
        copied = type(support)({"x": support.x["x"].clone()}, support.y.clone(), 5)
        scores = case.learner.adapt(copied)({"x": query.x["x"].clone()})
    torch.testing.assert_close(scores.detach().clone(), expected)


@pytest.mark.parametrize("name", ADAPTING)
def test_frozen_weights_stay(name):
    case = Case(name)
    case.model.first.weight.requires_grad_(requires_grad=False)
    fresh = build(name, width=6, encoder=case.model, dtype=F64).train()
    support, query = case.view()
    fresh.loss(support, query).backward()
    assert case.model.first.weight.grad is None
    assert case.model.second.weight.grad is not None


@pytest.mark.parametrize("name", ["boil", "cavia", "imaml", "maml++", "meta-sgd", "reptile"])
def test_meta_learned_heads_check_the_way(name):
    with pytest.raises(UsageError, match="train_way=10"):
        Case(name, train_way=10)
    case = Case(name)
    case.support, case.query = episodes(way=6, dtype=F64)
    with pytest.raises(UsageError, match="6-way episode"):
        case.scores()


@pytest.mark.parametrize("name", ["boil", "imaml", "maml++", "proto-maml"])
def test_support_loss_goes_down(name):
    losses = []
    for steps in (0, 1, 5):
        case = Case(name, test_steps=steps, inner_lr=0.05)
        case.learner.eval()
        case.query = type(case.query)(case.support.x, case.support.y)
        losses.append(task_loss(case.scores(), case.support.y).item())
    assert losses[0] > losses[1] > losses[2]
