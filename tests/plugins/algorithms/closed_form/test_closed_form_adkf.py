"""ADKF-IFT: fit, prediction and hypergradient against independent computations."""

import math

import numpy as np
import pytest
import torch
from alg_cases import build, curves, episodes, target
from closed_form_training import accuracy, error, learn, waves
from scipy.optimize import minimize
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

from metabench.learners.contracts import Query, Support
from metabench_algorithms.closed_form.adkf_ift import median_scale
from metabench_algorithms.shared.evidence import Evidence, spread
from metabench_algorithms.shared.process import matern, rbf

PROFILES = {"matern": matern, "rbf": rbf}


def evidence(profile, *, free_noise=True, outputs=2):
    support, _ = curves(size=9, outputs=outputs, width=3, dtype=torch.float64)
    return Evidence(
        squares=torch.cdist(support.x, support.x).square(),
        y=support.y,
        profile=PROFILES[profile],
        mode=(0.1, 0.0, math.log(0.01)),
        deviation=(0.25, 2.0, 0.25 if free_noise else 0.0),
    )


def oracle_at(phi, kernel, x, y):
    length, signal, noise = (float(v) for v in phi.exp())
    shape = Matern(length, nu=2.5) if kernel == "matern" else RBF(length)
    covariance = ConstantKernel(signal) * shape + WhiteKernel(noise)
    fitted = GaussianProcessRegressor(covariance, alpha=0.0, optimizer=None).fit(x, y)
    return fitted, fitted.log_marginal_likelihood(covariance.theta)


@pytest.mark.parametrize("profile", PROFILES)
def test_derivatives_are_autograds(profile):
    objective = evidence(profile)
    phi = torch.tensor([[0.2, -0.4, -2.0]] * 3, dtype=torch.float64)
    gradient, hessian = objective.derivatives(phi)
    for b in range(3):

        def value(one, b=b):
            return objective.value(torch.stack([one if i == b else phi[i] for i in range(3)]))[b]

        torch.testing.assert_close(gradient[b], torch.autograd.functional.jacobian(value, phi[b]))
        torch.testing.assert_close(hessian[b], torch.autograd.functional.hessian(value, phi[b]))


@pytest.mark.parametrize("free_noise", [True, False])
@pytest.mark.parametrize("profile", PROFILES)
def test_optimum_is_scipys(profile, free_noise):
    objective = evidence(profile, free_noise=free_noise)
    phi = objective.maximise()
    found = objective.value(phi)
    free = 3 if free_noise else 2
    for b in range(3):

        def loss(some, b=b):
            point = phi.clone()
            point[b, :free] = torch.from_numpy(some)
            return -float(objective.value(point)[b])

        start = np.array([0.1, 0.0, math.log(0.01)])[:free]
        best = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12})
        assert float(found[b]) == pytest.approx(-best.fun, abs=1e-7)
        np.testing.assert_allclose(phi[b, :free].numpy(), best.x, atol=1e-4)
    if not free_noise:
        torch.testing.assert_close(phi[:, 2].exp(), torch.full((3,), 0.01, dtype=torch.float64))


@pytest.mark.parametrize("kernel", PROFILES)
def test_regression_is_scikit_learns_process(kernel):
    support, query = curves(outputs=2, dtype=torch.float64)
    algorithm = build("adkf-ift", kind="regression", way=2, kernel=kernel, dtype=torch.float64)
    found = algorithm.adapt(support)(query.x)
    offset, scale = algorithm._units(support)
    objective, centre = algorithm._evidence(support, offset, scale)
    phi = objective.maximise()
    phi[:, :1] += centre.flatten(1).log()
    for b in range(3):
        x, y = support.x[b].numpy(), support.y[b].numpy()
        mean, deviation = y.mean(0), y.std(0)
        oracle, _ = oracle_at(phi[b], kernel, x, (y - mean) / deviation)
        expected = oracle.predict(query.x[b].numpy()) * deviation + mean
        np.testing.assert_allclose(found[b].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("way", [2, 3])
def test_loss_is_the_joint_predictive_density(way):
    support, query = episodes(way=way, dtype=torch.float64)
    algorithm = build("adkf-ift", way=way, dtype=torch.float64)
    offset, scale = algorithm._units(support)
    objective, centre = algorithm._evidence(support, offset, scale)
    phi = objective.maximise()
    phi[:, :1] += centre.flatten(1).log()
    columns = [1] if way == 2 else [0, 1, 2]
    total = 0.0
    for b in range(3):
        x, q = support.x[b].numpy(), query.x[b].numpy()
        both = np.r_[x, q]
        for c in columns:
            own, asked = (np.where(p.y[b].numpy() == c, 1.0, -1.0) for p in (support, query))
            away = 0.0 if way == 2 else own.mean()
            _, joint = oracle_at(phi[b], "matern", both, np.r_[own, asked] - away)
            _, alone = oracle_at(phi[b], "matern", x, own - away)
            total += (joint - alone) / len(asked) / len(columns)
    assert float(algorithm.loss(support, query)) == pytest.approx(-total / 3, rel=1e-6)


@pytest.mark.parametrize("kernel", PROFILES)
@pytest.mark.parametrize("kind", ["binary", "classification", "regression"])
def test_hypergradient_is_finite_differences_of_the_bilevel_objective(kind, kernel):
    regression = kind == "regression"
    way = {"binary": 2, "classification": 3, "regression": 2}[kind]
    if regression:
        support, query = curves(batch=2, size=6, query=4, outputs=2, width=4, dtype=torch.float64)
    else:
        support, query = episodes(batch=2, way=way, query=2, width=4, dtype=torch.float64)
    algorithm = build("adkf-ift", kind=kind, way=way, kernel=kernel, dtype=torch.float64)

    def loss(x, q):
        return algorithm.loss(Support(x, support.y, way), Query(q, query.y))

    inputs = [t.clone().requires_grad_() for t in (support.x, query.x)]
    assert torch.autograd.gradcheck(loss, inputs, atol=1e-6, rtol=1e-4, fast_mode=True)


def test_hypergradient_differs_from_the_one_at_fixed_hyperparameters(monkeypatch):
    support, query = episodes(batch=2, way=2, width=4, dtype=torch.float64)
    algorithm = build("adkf-ift", way=2, dtype=torch.float64)
    x = support.x.clone().requires_grad_()

    def gradient():
        loss = algorithm.loss(Support(x, support.y, 2), query)
        return torch.autograd.grad(loss, x)[0]

    full = gradient()
    monkeypatch.setattr(Evidence, "attach", lambda _, phi: phi)
    direct = gradient()
    assert float((full - direct).norm()) > 0.01 * float(full.norm())


def test_length_scale_centre_is_the_median_distance():
    squares = torch.tensor([[0.0, 4.0, 8.0], [4.0, 0.0, 2.0], [8.0, 2.0, 0.0]]).unsqueeze(0)
    assert float(median_scale(squares)) == pytest.approx(math.sqrt(2))
    flat = torch.zeros(1, 3, 3, requires_grad=True)
    centre = median_scale(flat)
    assert centre.item() == 1
    centre.backward()
    assert (flat.grad == 0).all()


def test_constant_and_repeated_embeddings_have_finite_gradients():
    support, query = episodes(way=2, dtype=torch.float64)
    algorithm = build("adkf-ift", way=2, dtype=torch.float64)
    x = support.x.clone()
    x[0] = 1.0
    x[1, 1] = x[1, 0]
    x.requires_grad_()
    algorithm.loss(Support(x, support.y, 2), query).backward()
    assert x.grad.isfinite().all()


def test_useless_embeddings_leave_the_fit_finite():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(4, 64, 8, generator=g, dtype=torch.float64)
    y = torch.randint(0, 2, (4, 64), generator=g)
    algorithm = build("adkf-ift", way=2, dtype=torch.float64)
    support = Support(x, y, 2)
    objective, _ = algorithm._evidence(support, *algorithm._units(support))
    phi = objective.maximise()
    gradient, hessian = objective.derivatives(phi)
    assert float(gradient[:, :2].abs().max()) < 1e-6
    assert float(torch.linalg.eigvalsh(hessian[:, :2, :2]).max()) < 0
    assert all(part.isfinite().all() for part in spread(phi))


def test_training_learns_an_embedding():
    before, after = learn(
        build("adkf-ift", width=4),
        lambda seed: episodes(seed, batch=4, width=4, spread=0.3),
        accuracy,
        steps=40,
        noise=0.5,
    )
    assert after > before + 0.3


def test_training_learns_an_embedding_for_regression():
    algorithm = build("adkf-ift", kind="regression", way=1, width=4)
    before, after = learn(algorithm, waves, error, steps=40, rate=3e-2, noise=0.5)
    assert after < before - 0.3


def test_priors_are_proper():
    with pytest.raises(ValueError, match=r"signal_prior=0\.0 must be above 0"):
        target("adkf-ift").Hyperparameters(signal_prior=0.0)
