"""MAML, FOMAML and ANIL: orders of differentiation, isolation of tasks, batch norm."""

import copy

import pytest
import torch
from alg_cases import (
    GRADIENT,
    FoldedEncoder,
    TinyEncoder,
    build,
    curves,
    episodes,
    raw,
    relative,
)
from torch.func import functional_call
from torch.nn import functional as F

from metabench.errors import UsageError
from metabench.learners.contracts import Query, Support, task_loss

F64 = torch.float64


def setting(name, *, encoder=TinyEncoder, kind="classification", **options):
    """Return an algorithm, its encoder, its parameters and episodes, all in float64."""
    support, query = episodes(batch=3, shots=2, query=2, dtype=F64)
    model = encoder().double()
    options = {"inner_steps": 3, "inner_lr": 0.4, **options}
    way = 5
    if kind == "regression":
        way = 2
        support, query = curves(size=10, query=10, outputs=2, dtype=F64)
    own = None if name == "anil" else model
    algorithm = build(name, way=way, width=6, kind=kind, encoder=own, dtype=F64, **options).train()
    parameters = {**dict(model.named_parameters()), **dict(algorithm.named_parameters())}
    return algorithm, model, parameters, support, query


def loss_of(name, algorithm, model, support, query):
    if name != "anil":
        return algorithm.loss(*raw(support, query))

    def embed(x):
        return model({"x": x.flatten(0, 1)}).unflatten(0, x.shape[:2])

    embedded = Support(embed(support.x), support.y, support.way)
    return algorithm.loss(embedded, Query(embed(query.x), query.y))


def meta_gradient(name, case):
    algorithm, model, parameters, support, query = case
    loss = loss_of(name, algorithm, model, support, query)
    return loss, torch.autograd.grad(loss, list(parameters.values()))


@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize("name", ["maml", "anil"])
def test_second_order_meta_gradient_is_the_finite_difference(name, kind):
    case = setting(name, kind=kind, inner_lr=0.4 if kind == "classification" else 0.02)
    algorithm, model, parameters, support, query = case
    _, found = meta_gradient(name, case)
    generator = torch.Generator().manual_seed(4)
    step = 1e-6
    for _ in range(6):
        direction = [torch.randn(p.shape, generator=generator, dtype=F64) for p in found]
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                for p, d in zip(parameters.values(), direction, strict=True):
                    p.add_(d, alpha=sign * step)
            values.append(loss_of(name, algorithm, model, support, query).item())
            with torch.no_grad():
                for p, d in zip(parameters.values(), direction, strict=True):
                    p.sub_(d, alpha=sign * step)
        slope = (values[0] - values[1]) / (2 * step)
        along = sum(float((g * d).sum()) for g, d in zip(found, direction, strict=True))
        assert along == pytest.approx(slope, rel=1e-6, abs=1e-7)


def test_maml_is_the_plain_loop():
    case = setting("maml")
    algorithm, model, parameters, support, query = case
    loss, found = meta_gradient("maml", case)
    expected = plain_loss(algorithm, model, support, query, create_graph=True)
    torch.testing.assert_close(loss, expected)
    gradient = torch.autograd.grad(expected, list(parameters.values()))
    for a, b in zip(found, gradient, strict=True):
        torch.testing.assert_close(a, b)


def plain_loss(algorithm, model, support, query, *, create_graph):
    network = torch.nn.Sequential(model, algorithm.head)
    losses = []
    for xs, ys, xq, yq in zip(support.x, support.y, query.x, query.y, strict=True):
        weights = dict(network.named_parameters())
        for _ in range(3):
            logits = functional_call(network, weights, ({"x": xs},))
            grads = torch.autograd.grad(
                F.cross_entropy(logits, ys), list(weights.values()), create_graph=create_graph
            )
            weights = {k: w - 0.4 * g for (k, w), g in zip(weights.items(), grads, strict=True)}
        losses.append(F.cross_entropy(functional_call(network, weights, ({"x": xq},)), yq))
    return torch.stack(losses).mean()


def test_fomaml_is_the_gradient_at_the_adapted_weights():
    case = setting("fomaml")
    algorithm, model, parameters, support, query = case
    loss, found = meta_gradient("fomaml", case)
    expected = plain_loss(algorithm, model, support, query, create_graph=False)
    torch.testing.assert_close(loss, expected)
    gradient = torch.autograd.grad(expected, list(parameters.values()))
    for a, b in zip(found, gradient, strict=True):
        torch.testing.assert_close(a, b)
    _, second = meta_gradient("maml", setting("maml"))
    assert relative(torch.cat([g.flatten() for g in found]), flat(second)) > 0.05


def flat(gradients):
    return torch.cat([g.flatten() for g in gradients])


def test_anil_is_autograd_through_the_head():
    case = setting("anil")
    algorithm, model, parameters, support, query = case
    for first_order in (False, True):
        case = setting("anil", first_order=first_order)
        algorithm, model, parameters, support, query = case
        loss, found = meta_gradient("anil", case)

        def embed(x, model=model):
            return model({"x": x.flatten(0, 1)}).unflatten(0, x.shape[:2])

        zs, zq = embed(support.x), embed(query.x)
        losses = []
        for i, y in enumerate(support.y):
            weights = list(algorithm.head.parameters())
            for _ in range(3):
                loss_s = F.cross_entropy(F.linear(zs[i], *weights), y)
                grads = torch.autograd.grad(
                    loss_s, weights, create_graph=not first_order, retain_graph=True
                )
                weights = [w - 0.4 * g for w, g in zip(weights, grads, strict=True)]
            losses.append(F.cross_entropy(F.linear(zq[i], *weights), query.y[i]))
        expected = torch.stack(losses).mean()
        torch.testing.assert_close(loss, expected)
        gradient = torch.autograd.grad(expected, list(parameters.values()))
        for a, b in zip(found, gradient, strict=True):
            torch.testing.assert_close(a, b)


def test_anil_orders_differ():
    _, second = meta_gradient("anil", setting("anil"))
    _, first = meta_gradient("anil", setting("anil", first_order=True))
    assert relative(flat(first), flat(second)) > 0.01


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["maml", "fomaml"])
def test_adapting_leaves_weights_buffers_and_other_tasks_alone(name, training):
    algorithm, model, _, support, query = setting(name)
    algorithm.train(training)
    model.train(training)
    before = copy.deepcopy((model.state_dict(), algorithm.state_dict()))
    modes = [m.training for m in model.modules()]
    (inputs, queries) = raw(support, query)
    with torch.no_grad():
        together = algorithm.adapt(inputs)(queries.x)
        alone = algorithm.adapt(raw(part(support, 1), query)[0])({"x": query.x[1:2]})
    assert torch.equal(alone[0], together[1])
    algorithm.loss(inputs, queries)
    after = (model.state_dict(), algorithm.state_dict())
    for old, new in zip(before, after, strict=True):
        assert old.keys() == new.keys()
        assert all(torch.equal(old[k], new[k]) for k in old)
    assert modes == [m.training for m in model.modules()]
    assert all(p.grad is None for p in [*model.parameters(), *algorithm.parameters()])


def part(support, i):
    return Support(support.x[i : i + 1], support.y[i : i + 1], support.way)


@pytest.mark.parametrize("name", ["maml", "fomaml"])
def test_mode_decides_steps_not_batch_norm(name):
    algorithm, model, _, support, query = setting(name, inner_steps=2, test_steps=4)
    inputs, queries = raw(support, query)
    same, _, _, _, _ = setting(name, inner_steps=4)
    with torch.no_grad():
        in_training = algorithm.adapt(inputs)(queries.x)
        in_test = algorithm.eval().adapt(inputs)(queries.x)
        model.eval()
        assert torch.equal(in_test, algorithm.adapt(inputs)(queries.x))
        assert torch.equal(in_test, same.train().adapt(inputs)(queries.x))
    assert not torch.allclose(in_training, in_test)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("name", ["maml", "fomaml"])
def test_adapts_whatever_the_gradient_mode(name, mode):
    algorithm, _, _, support, query = setting(name)
    inputs, queries = raw(support, query)
    with mode():
        copied = Support({"x": support.x.clone()}, support.y.clone(), 5)
        scores = algorithm.eval().adapt(copied)({"x": query.x.clone()})
    expected = algorithm.adapt(inputs)(queries.x)
    torch.testing.assert_close(scores.detach().clone(), expected.detach())


@pytest.mark.parametrize("name", ["maml", "fomaml"])
def test_encoder_that_embeds_copies_at_once_gives_the_same(name):
    FoldedEncoder.calls = 0
    loss, found = meta_gradient(name, setting(name, encoder=FoldedEncoder))
    assert FoldedEncoder.calls == 4  # three steps and the queries, all episodes at once
    expected, gradient = meta_gradient(name, setting(name))
    torch.testing.assert_close(loss, expected)
    for a, b in zip(found, gradient, strict=True):
        torch.testing.assert_close(a, b)


def test_frozen_weights_stay():
    algorithm, model, _, support, query = setting("maml")
    model.first.weight.requires_grad_(requires_grad=False)
    algorithm.loss(*raw(support, query)).backward()
    assert model.first.weight.grad is None
    assert model.second.weight.grad is not None


@pytest.mark.parametrize("name", GRADIENT)
def test_support_loss_goes_down(name):
    losses = []
    for steps in (0, 1, 5):
        adapted, model, _, support, _ = setting(name, test_steps=steps, inner_lr=0.1)
        with torch.no_grad():
            if name == "anil":
                scores = anil_scores(adapted.eval(), model, support)
            else:
                inputs = {"x": support.x}
                scores = adapted.eval().adapt(Support(inputs, support.y, 5))(inputs)
        losses.append(task_loss(scores, support.y).item())
    assert losses[0] > losses[1] > losses[2]


def anil_scores(algorithm, model, support):
    x = model({"x": support.x.flatten(0, 1)}).unflatten(0, support.x.shape[:2])
    return algorithm.adapt(Support(x, support.y, support.way))(x)


@pytest.mark.parametrize("name", GRADIENT)
def test_way_is_checked(name):
    encoder = TinyEncoder()
    with pytest.raises(UsageError, match="train_way=10 but the test episodes are 5-way"):
        build(name, width=6, encoder=encoder, train_way=10)
    build(name, width=6, encoder=encoder, train_way=5)
    algorithm = build(name, way=3, width=6 if name != "anil" else 8, encoder=encoder)
    support, query = episodes()
    with pytest.raises(UsageError, match="5-way episode"):
        algorithm.adapt(support if name == "anil" else raw(support, query)[0])


@pytest.mark.parametrize("name", GRADIENT)
def test_smaller_way_uses_the_first_outputs(name):
    support, query = episodes(way=3)
    algorithm = build(name, way=5, width=8 if name == "anil" else 6, encoder=TinyEncoder())
    if name != "anil":
        support, query = raw(support, query)
    assert algorithm.adapt(support)(query.x).shape == (3, 12, 3)


@pytest.mark.parametrize("name", GRADIENT)
def test_step_size_is_that_of_the_kind_of_task(name):
    for kind, rate in (("classification", 0.1), ("regression", 0.01)):
        found = predictions(*setting(name, kind=kind, inner_lr=None)[:2], kind)
        expected = predictions(*setting(name, kind=kind, inner_lr=rate)[:2], kind)
        other = predictions(*setting(name, kind=kind, inner_lr=2 * rate)[:2], kind)
        assert torch.equal(found, expected)
        assert not torch.allclose(found, other)


def predictions(algorithm, model, kind, scale=1.0):
    if kind == "regression":
        support, query = curves(size=10, query=10, outputs=2, scale=scale, dtype=F64)
    else:
        support, query = episodes(shots=2, dtype=F64)
    with torch.no_grad():
        if algorithm.task.encoder is not None:
            support, query = raw(support, query)
        else:
            support = Support(embedded(model, support.x), support.y, support.way)
            query = Query(embedded(model, query.x), query.y)
        return algorithm.eval().adapt(support)(query.x)


def embedded(model, x):
    return model({"x": x.flatten(0, 1)}).unflatten(0, x.shape[:2])


@pytest.mark.parametrize("name", GRADIENT)
def test_regression_learns_alike_on_any_scale_of_the_targets(name):
    found = []
    for scale in (1.0, 1e4):
        algorithm, model, parameters, _, _ = setting(name, kind="regression", inner_lr=None)
        optimiser = torch.optim.Adam(parameters.values(), 1e-2)
        for seed in range(4):
            support, query = curves(seed, outputs=2, scale=scale, dtype=F64)
            optimiser.zero_grad()
            loss_of(name, algorithm, model, support, query).backward()
            optimiser.step()
        found.append(predictions(algorithm, model, "regression", scale) / scale)
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", GRADIENT)
def test_raw_targets_are_learned_as_they_are(name):
    options = {"standardize": False, "test_steps": 3}
    algorithm, model, _, support, query = setting(name, kind="regression", **options)
    loss = loss_of(name, algorithm, model, support, query)
    expected = task_loss(predictions(algorithm.train(), model, "regression"), query.y)
    torch.testing.assert_close(loss.detach(), expected)
    assert not list(algorithm.buffers())
