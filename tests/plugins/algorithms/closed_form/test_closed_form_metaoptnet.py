"""The support vector machine against liblinear and against its duality gap."""

import numpy as np
import pytest
import torch
from alg_cases import build, episodes, target
from closed_form_training import accuracy, learn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import LinearSVC
from torch.nn import functional as F

from metabench.learners.contracts import Support, one_hot
from metabench_algorithms.shared import svm
from metabench_algorithms.shared.svm import crammer_singer


def problem(scale=1.0, **shape):
    support, _ = episodes(**shape, dtype=torch.float64)
    x = scale * support.x
    return x, support.y, one_hot(support.y, support.way, x.dtype)


def primal(weight, x, y, cost):
    """Crammer & Singer's objective for ``[B, d, way]`` weights."""
    scores = x @ weight
    own = scores.gather(2, y.unsqueeze(-1))
    margin = (scores - own + 1 - F.one_hot(y, scores.shape[-1])).amax(-1)
    return 0.5 * weight.square().sum((1, 2)) + cost * margin.sum(1)


problems = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 9999),
        "way": st.integers(2, 6),
        "shots": st.integers(1, 8),
        "width": st.sampled_from([2, 8, 100]),
        "spread": st.sampled_from([0.1, 1.0, 3.0]),
    }
)


@settings(max_examples=25)
@given(
    case=problems,
    cost=st.sampled_from([0.01, 0.1, 10.0]),
    scale=st.sampled_from([1e-3, 1.0, 50.0]),
)
def test_solution_is_feasible_and_without_duality_gap(case, cost, scale):
    x, y, member = problem(scale, **case)
    if scale > 1:  # the ridge is a feature of each example's own
        own = torch.eye(x.shape[1], dtype=x.dtype).expand(len(x), -1, -1)
        x = torch.cat([x, own], -1)
    alpha = crammer_singer(x @ x.mT, member, cost)
    assert float((alpha - cost * member).max()) < 1e-8 * cost
    assert float(alpha.sum(-1).abs().max()) < 1e-7 * cost
    weight = x.mT @ alpha
    dual = (alpha * member).sum((1, 2)) - 0.5 * weight.square().sum((1, 2))
    torch.testing.assert_close(dual, primal(weight, x, y, cost), rtol=1e-5, atol=1e-7)


@settings(max_examples=10)
@given(case=problems)
def test_scores_are_liblinears(case):
    case = {**case, "way": max(3, case["way"])}  # of two classes liblinear keeps one column
    x, y, member = problem(**case)
    weight = x.mT @ crammer_singer(x @ x.mT, member, 0.1)
    for b in range(3):
        oracle = LinearSVC(
            multi_class="crammer_singer", fit_intercept=False, C=0.1, tol=1e-7, max_iter=300_000
        ).fit(x[b].numpy(), y[b].numpy())
        found = torch.from_numpy(oracle.coef_.T.copy()).unsqueeze(0)
        own = primal(weight[b : b + 1], x[b : b + 1], y[b : b + 1], 0.1)
        theirs = primal(found, x[b : b + 1], y[b : b + 1], 0.1)
        assert float(own) <= float(theirs) * (1 + 1e-6)
        np.testing.assert_allclose(weight[b].numpy(), oracle.coef_.T, atol=5e-3)


@pytest.mark.parametrize("cost", [0.1, 10.0])
@pytest.mark.parametrize("way", [2, 4])
def test_gradient_of_the_scores_is_finite_differences(way, cost):
    g = torch.Generator().manual_seed(3)
    x = torch.randn(2, 4 * way, 6, generator=g, dtype=torch.float64)
    q = torch.randn(2, 3, 6, generator=g, dtype=torch.float64)
    y = torch.arange(way).repeat(4).expand(2, -1)
    algorithm = build("metaoptnet", way=way, width=6, cost=cost, dtype=torch.float64)

    def scores(x, q):
        return algorithm.adapt(Support(x, y, way))(q)

    inputs = [t.clone().requires_grad_() for t in (x, q)]
    assert torch.autograd.gradcheck(scores, inputs, eps=1e-5, atol=1e-5, rtol=1e-4, fast_mode=True)


def test_gradient_where_the_coefficients_are_not_unique():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(1, 9, 2, generator=g, dtype=torch.float64, requires_grad=True)
    member = one_hot(torch.arange(3).repeat(3).unsqueeze(0), 3, torch.float64)

    def weight(x):
        return x.mT @ crammer_singer(x @ x.mT, member, 1.0)

    assert torch.autograd.gradcheck(weight, [x], eps=1e-5, atol=1e-4, rtol=1e-3, fast_mode=True)


def test_scores_are_the_scaled_machine_with_a_ridge():
    support, query = episodes(dtype=torch.float64)
    found = build("metaoptnet", scale=3.0, dtype=torch.float64).adapt(support)(query.x)
    kernel = support.x @ support.x.mT + torch.eye(15)
    alpha = crammer_singer(kernel, one_hot(support.y, 5, torch.float64), 0.1)
    torch.testing.assert_close(found, 3 * query.x @ support.x.mT @ alpha)


def test_parts_of_a_batch_are_solved_alike(monkeypatch):
    x, _, member = problem(way=4, shots=5)
    kernel = (x @ x.mT).requires_grad_()
    together = crammer_singer(kernel, member, 0.1)
    (gradient,) = torch.autograd.grad(together.square().sum(), kernel)
    monkeypatch.setattr(svm, "AT_ONCE", 1)
    apart = crammer_singer(kernel, member, 0.1)
    torch.testing.assert_close(apart, together)
    torch.testing.assert_close(torch.autograd.grad(apart.square().sum(), kernel)[0], gradient)


def test_loss_smooths_the_labels():
    support, query = episodes(dtype=torch.float64)
    algorithm = build("metaoptnet", label_smoothing=0.2, dtype=torch.float64)
    log = algorithm.adapt(support)(query.x).log_softmax(-1)
    wanted = 0.8 * F.one_hot(query.y, 5) + 0.05 * (1 - F.one_hot(query.y, 5))
    torch.testing.assert_close(algorithm.loss(support, query), -(wanted * log).sum(-1).mean())


def test_training_learns_an_embedding():
    before, after = learn(
        build("metaoptnet", width=4), lambda s: episodes(s, batch=4, width=4, spread=0.3), accuracy
    )
    assert after > before + 0.15


@pytest.mark.parametrize(
    ("option", "value"), [("cost", 0.0), ("ridge", -1.0), ("label_smoothing", 0.5)]
)
def test_settings_are_checked(option, value):
    with pytest.raises(ValueError, match=f"{option}={value} must"):
        target("metaoptnet").Hyperparameters(**{option: value})
