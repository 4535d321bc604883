"""Meta-SGD: one step, element by element."""

import pytest
import torch
from gradient_cases import Case

from metabench.errors import UsageError


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_meta_gradient_is_the_finite_difference(kind):
    Case("meta-sgd", kind=kind).check_finite_difference()
    Case("meta-sgd", kind=kind, inner_steps=3).check_finite_difference()


def test_equal_rates_are_one_step_of_maml():
    learned = Case("meta-sgd", inner_lr=0.3)
    plain = Case("maml", inner_lr=0.3, inner_steps=1, test_steps=1)
    torch.testing.assert_close(learned.scores(), plain.scores())
    found, expected = learned.gradient(), plain.gradient()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient)


def test_rates_start_in_their_range_and_one_belongs_to_each_weight():
    case = Case("meta-sgd")
    rates = list(case.learner.rates.parameters())
    weights = [*case.model.parameters(), *case.learner.head.parameters()]
    assert [r.shape for r in rates] == [w.shape for w in weights]
    values = torch.cat([r.detach().flatten() for r in rates])
    assert 0.005 <= values.min() < 0.02
    assert 0.09 < values.max() <= 0.1


def test_range_is_checked():
    with pytest.raises(UsageError, match=r"lowest_rate=0\.2 exceeds"):
        Case("meta-sgd", lowest_rate=0.2)
