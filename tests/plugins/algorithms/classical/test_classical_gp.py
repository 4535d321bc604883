"""Gaussian processes against scikit-learn's."""

import math

import numpy as np
import pytest
import torch
from alg_cases import build, curves, episodes
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from metabench.errors import UsageError
from metabench.learners.contracts import Support
from metabench_algorithms.shared.distance import squared_euclidean, tanimoto_kernel
from metabench_algorithms.shared.marginal import centre, fit_fixed

FREE = {"length_scale_prior": 0.0, "noise_prior": 0.0}


def standard(y):
    mean, scale = y.mean(1, keepdim=True), y.std(1, correction=0, keepdim=True)
    return (y - mean) / scale, mean, scale


def oracle_at(signal, length, noise, x, y):
    kernel = ConstantKernel(signal) * RBF(length) + WhiteKernel(noise)
    oracle = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None).fit(x.numpy(), y.numpy())
    return oracle, oracle.log_marginal_likelihood(kernel.theta)


@settings(max_examples=15)
@given(
    seed=st.integers(0, 9999),
    size=st.integers(2, 40),
    width=st.integers(1, 30),
    outputs=st.integers(1, 3),
    prior=st.booleans(),
)
def test_mean_and_likelihood_are_scikit_learns(seed, size, width, outputs, prior):
    shape = {"size": size, "width": width, "outputs": outputs}
    support, query = curves(seed, dtype=torch.float64, **shape)
    gp = build("gp", kind="regression", way=outputs, width=width, **({} if prior else FREE))
    found = gp.adapt(support)(query.x)
    y, mean, scale = standard(support.y)
    fit = gp.fit(support.x, y)
    for b in range(3):
        s, l, r = (float(v[b]) for v in (fit.signal, fit.length_scale, fit.ratio))
        oracle, likelihood = oracle_at(s, l, s * r, support.x[b], y[b])
        expected = oracle.predict(query.x[b].numpy()).reshape(-1, outputs)
        expected = expected * scale[b].numpy() + mean[b].numpy()
        np.testing.assert_allclose(found[b].numpy(), expected, atol=1e-6, rtol=1e-6)
        assert float(fit.likelihood[b]) == pytest.approx(likelihood, rel=1e-6, abs=1e-6)


@pytest.mark.filterwarnings("ignore:The optimal value found")
@pytest.mark.parametrize("size", [8, 40])
def test_fit_is_about_as_likely_as_scikit_learns(size):
    support, _ = curves(batch=6, size=size, width=2, dtype=torch.float64)
    y, _, _ = standard(support.y)
    fit = build("gp", kind="regression", way=1, width=2, **FREE).fit(support.x, y)
    middle = centre(squared_euclidean(support.x, support.x))
    for b in range(6):
        m = float(middle[b])
        # The ranges lie within those that the fit searches.
        kernel = ConstantKernel(1.0, (1e-2, 10)) * RBF(m, (m / 4, m * 4))
        kernel += WhiteKernel(0.1, (1e-3, 1))
        oracle = GaussianProcessRegressor(kernel, alpha=0.0, n_restarts_optimizer=3, random_state=0)
        oracle.fit(support.x[b].numpy(), y[b].numpy())
        assert float(fit.likelihood[b]) > oracle.log_marginal_likelihood_value_ - 0.1
        _, plain = oracle_at(1.0, m, 0.01, support.x[b], y[b])
        assert float(fit.likelihood[b]) >= plain - 1e-9


def test_fit_maximises_likelihood_plus_priors():
    support, _ = curves(width=2, size=20, dtype=torch.float64)
    y, _, _ = standard(support.y)
    fit = build("gp", kind="regression", way=1, width=2).fit(support.x, y)
    middle = centre(squared_euclidean(support.x, support.x))

    def objective(b, signal, length, ratio):
        _, likelihood = oracle_at(signal, length, signal * ratio, support.x[b], y[b])
        away = math.log(length / float(middle[b])) / 0.25, math.log(ratio / 0.01)
        return likelihood - 0.5 * (away[0] ** 2 + away[1] ** 2)

    for b in range(3):
        at = [float(v[b]) for v in (fit.signal, fit.length_scale, fit.ratio)]
        best = objective(b, *at)
        assert float(fit.objective[b]) == pytest.approx(best, rel=1e-6)
        for i in range(3):
            for factor in (0.8, 1.25):
                moved = [v * factor if i == j else v for j, v in enumerate(at)]
                assert objective(b, *moved) < best + 0.02


def test_labels_are_regressed_as_minus_and_plus_one():
    support, query = episodes(way=3, dtype=torch.float64, shots=(2, 5, 3))
    gp = build("gp", way=3)
    found = gp.adapt(support)(query.x)
    for b in range(3):
        labels = 2.0 * (support.y[b].unsqueeze(-1) == torch.arange(3)) - 1
        mean = labels.mean(0)
        fit = gp.fit(support.x[b : b + 1], (labels - mean).double().unsqueeze(0))
        s, l, r = float(fit.signal), float(fit.length_scale), float(fit.ratio)
        oracle, _ = oracle_at(s, l, s * r, support.x[b], labels - mean)
        expected = oracle.predict(query.x[b].numpy()) + mean.numpy()
        np.testing.assert_allclose(found[b].numpy(), expected, atol=1e-6)


def test_two_classes_are_one_column():
    support, query = episodes(way=2, dtype=torch.float64, shots=(7, 3))
    scores = build("gp", way=2, kind="binary").adapt(support)(query.x)
    labels = 2 * support.y.unsqueeze(-1).double() - 1
    gp = build("gp", way=1, kind="regression")
    mean = labels.mean(1, keepdim=True)
    fit = build("gp", way=2, kind="binary").fit(support.x, labels - mean)
    kernel = (-0.5 * squared_euclidean(query.x, support.x) / fit.length_scale**2).exp()
    expected = kernel @ fit.dual + mean
    torch.testing.assert_close(scores, torch.cat([-expected, expected], -1))
    assert not torch.allclose(gp.fit(support.x, labels - mean).ratio, fit.ratio)


def test_tanimoto_kernel_is_the_formula_and_its_process_scikit_learns():
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 3, (2, 16, 12), generator=g).double()
    q = torch.randint(0, 3, (2, 5, 12), generator=g).double()
    x[0, 0], q[0, 0] = 0, 0
    kernel, cross = tanimoto_kernel(x, x), tanimoto_kernel(q, x)
    a, b = x[1, 2], q[1, 3]
    assert float(cross[1, 3, 2]) == pytest.approx(float(a @ b / (a @ a + b @ b - a @ b)))
    assert float(cross[0, 0, 0]) == 1
    assert float(torch.linalg.eigvalsh(kernel).min()) > -1e-10
    y = torch.randint(0, 2, (2, 16), generator=g)
    found = build("gp", way=2, width=12, kernel="tanimoto").adapt(Support(x, y, 2))(q)
    labels = (2 * y.double() - 1).unsqueeze(-1)
    mean = labels.mean(1, keepdim=True)
    fit = fit_fixed(kernel, labels - mean, 0.1, 1.0)
    solved = torch.linalg.solve(kernel + fit.ratio * torch.eye(16), labels - mean)
    torch.testing.assert_close(found[..., 1:], cross @ solved + mean)


def test_tanimoto_kernel_refuses_negative_features():
    support, _ = episodes()
    with pytest.raises(UsageError, match="not negative"):
        build("gp", kernel="tanimoto").adapt(support)


def test_one_shot_classes_are_told_apart():
    support, query = episodes(batch=20, shots=1, spread=0.2, width=64)
    right = build("gp", width=64).adapt(support)(query.x).argmax(-1) == query.y
    assert right.float().mean() > 0.95


def test_large_support():
    support, query = curves(batch=1, size=500, query=50, width=2)
    found = build("gp", kind="regression", way=1, width=2).adapt(support)(query.x)
    assert float((found - query.y).square().mean()) < 0.1 * float(query.y.var())
