"""Proto-MAML: starts as a prototypical network, and then descends."""

import torch
from alg_cases import episodes
from gradient_cases import F64, Case
from torch.func import functional_call
from torch.nn import functional as F


def test_without_steps_it_is_a_prototypical_network():
    case = Case("proto-maml", inner_steps=0, test_steps=0)
    case.model.train()
    found = case.scores().log_softmax(-1)
    for i, scores in enumerate(found):
        with torch.no_grad():
            zs, zq = case.model({"x": case.support.x[i]}), case.model({"x": case.query.x[i]})
        centres = torch.stack([zs[case.support.y[i] == c].mean(0) for c in range(5)])
        expected = (-torch.cdist(zq, centres).square()).log_softmax(-1)
        torch.testing.assert_close(scores, expected)


def test_second_order_meta_gradient_is_the_finite_difference():
    case = Case("proto-maml", inner_steps=3, inner_lr=0.05, first_order=False)
    losses = plain_losses(case, first_order=False)
    torch.testing.assert_close(case.loss(), losses)
    check_gradient(case, losses)
    case.check_finite_difference()


def test_first_order_goes_through_the_prototypes_only():
    case = Case("proto-maml", inner_steps=3, inner_lr=0.05)
    check_gradient(case, plain_losses(case, first_order=True))


def check_gradient(case, expected):
    weights = list(case.weights.values())
    gradient = torch.autograd.grad(expected, weights, allow_unused=True, materialize_grads=True)
    torch.testing.assert_close(list(case.gradient().values()), list(gradient))


def plain_losses(case, *, first_order):
    losses = []
    case.model.train()
    for xs, ys, xq, yq in zip(
        case.support.x, case.support.y, case.query.x, case.query.y, strict=True
    ):
        body = dict(case.model.named_parameters())
        embedded = functional_call(case.model, body, ({"x": xs},))
        centres = torch.stack([embedded[ys == c].mean(0) for c in range(5)])
        head = [2 * centres, -centres.square().sum(1)]
        for _ in range(3):
            # Fresh variables: the inner gradient takes the head's start for a constant.
            own = {n: w.detach().requires_grad_() for n, w in body.items()}
            if not first_order:
                own = {n: w + 0 for n, w in body.items()}
            top = [w + 0 for w in head]
            logits = F.linear(functional_call(case.model, own, ({"x": xs},)), *top)
            names = [n for n in body if "norm" not in n]
            slopes = torch.autograd.grad(
                F.cross_entropy(logits, ys),
                [*(own[n] for n in names), *top],
                create_graph=not first_order,
                retain_graph=True,
            )
            for name, g in zip(names, slopes, strict=False):
                body = {**body, name: body[name] - 0.05 * g}
            head = [w - 0.05 * g for w, g in zip(head, slopes[len(names) :], strict=True)]
        logits = F.linear(functional_call(case.model, body, ({"x": xq},)), *head)
        losses.append(F.cross_entropy(logits, yq))
    return torch.stack(losses).mean()


def test_batch_norm_is_adapted_on_request():
    fixed, free = Case("proto-maml", test_steps=5), Case("proto-maml", adapt_norm=True)
    assert not torch.allclose(fixed.scores(), free.scores(), rtol=1e-4)


def test_any_way_and_no_parameter_of_its_own():
    case = Case("proto-maml", train_way=10)
    assert not list(case.learner.parameters())
    case.support, case.query = episodes(way=9, dtype=F64)
    assert case.scores().shape == (3, 36, 9)
