"""BOIL: the body moves, the head stays."""

import pytest
import torch
from gradient_cases import Case
from torch.func import functional_call
from torch.nn import functional as F


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_meta_gradient_is_the_finite_difference(kind):
    Case("boil", kind=kind).check_finite_difference()


def test_is_the_plain_loop():
    case = Case("boil", inner_steps=2, test_steps=2)
    losses = []
    for xs, ys, xq, yq in zip(
        case.support.x, case.support.y, case.query.x, case.query.y, strict=True
    ):
        body = dict(case.model.named_parameters())
        for _ in range(2):
            logits = case.learner.head(functional_call(case.model, body, ({"x": xs},)))
            loss = F.cross_entropy(logits, ys)
            slopes = torch.autograd.grad(loss, list(body.values()), create_graph=True)
            body = {n: w - 0.5 * g for (n, w), g in zip(body.items(), slopes, strict=True)}
        logits = case.learner.head(functional_call(case.model, body, ({"x": xq},)))
        losses.append(F.cross_entropy(logits, yq))
    expected = torch.stack(losses).mean()
    torch.testing.assert_close(case.loss(), expected)
    gradient = torch.autograd.grad(expected, list(case.weights.values()))
    torch.testing.assert_close(list(case.gradient().values()), list(gradient))
