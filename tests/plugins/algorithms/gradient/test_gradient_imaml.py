"""iMAML: the implicit gradient is that of the inner optimum."""

import pytest
import torch
from alg_cases import FoldedEncoder
from gradient_cases import F64, Case

from metabench.errors import UsageError
from metabench_algorithms.gradient.imaml import conjugate_gradients

# Small steps and a strong pull: batch norm of ten examples is steep.
SOLVED = {"inner_steps": 400, "inner_lr": 0.02, "strength": 5.0, "cg_steps": 60}
SOLVED_REGRESSION = {"inner_steps": 300, "inner_lr": 0.005, "strength": 20.0, "cg_steps": 60}


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_meta_gradient_is_the_finite_difference_at_the_optimum(kind):
    options = SOLVED_REGRESSION if kind == "regression" else SOLVED
    case = Case("imaml", kind=kind, encoder=FoldedEncoder, **options)
    case.check_finite_difference(rel=1e-5, step=1e-5, directions=2)


def test_meta_gradient_is_that_through_a_long_unrolled_loop():
    implicit = Case("imaml", encoder=FoldedEncoder, **SOLVED)
    unrolled = Case("imaml", encoder=FoldedEncoder, **SOLVED)
    loss = unrolled.learner._query_loss(*unrolled.view())
    expected = torch.autograd.grad(loss, list(unrolled.weights.values()))
    found = list(implicit.gradient().values())
    torch.testing.assert_close(found, list(expected), rtol=1e-4, atol=1e-6)


def test_few_steps_of_conjugate_gradients_are_better_than_none():
    exact, some, none = (
        torch.cat([g.flatten() for g in case.gradient().values()])
        for case in (Case("imaml", cg_steps=steps) for steps in (120, 5, 0))
    )
    assert (some - exact).norm() < 0.5 * (none - exact).norm()


def test_the_pull_keeps_weights_near_their_start():
    away = []
    for strength in (0.1, 2.0, 5.0):
        case = Case("imaml", strength=strength)
        with torch.no_grad():
            adapted = case.learner._adapt(case.view()[0])
        start = case.learner._shared()
        away.append(sum(((adapted[n] - w) ** 2).sum().item() for n, w in start.items()))
    assert away[0] > away[1] > away[2]


def test_conjugate_gradients_solve_each_row():
    g = torch.Generator().manual_seed(0)
    root = torch.randn(3, 6, 6, generator=g, dtype=F64)
    matrix = root @ root.mT + torch.eye(6, dtype=F64)
    right = torch.randn(3, 6, generator=g, dtype=F64)
    matrix[2] = torch.eye(6, dtype=F64)  # solved in one step; the others go on
    found = conjugate_gradients(lambda v: (matrix @ v.unsqueeze(-1)).squeeze(-1), right, 12)
    torch.testing.assert_close(found, torch.linalg.solve(matrix, right.unsqueeze(-1)).squeeze(-1))
    zero = torch.zeros_like(right)
    assert torch.equal(conjugate_gradients(lambda v: v, zero, 3), zero)


def test_negative_curvature_keeps_the_right_hand_side():
    right = torch.ones(1, 2, dtype=F64)
    assert torch.equal(conjugate_gradients(lambda v: -v, right, 5), right)


def test_strength_is_checked():
    with pytest.raises(UsageError, match="must be above 0"):
        Case("imaml", strength=0.0)
