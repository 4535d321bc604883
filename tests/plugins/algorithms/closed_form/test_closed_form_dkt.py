"""DKT against the formulas of Gaussian processes and against scikit-learn's."""

import math

import numpy as np
import pytest
import torch
from alg_cases import build, curves, episodes
from closed_form_training import accuracy, error, learn, waves
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

from metabench.learners.contracts import Support
from metabench_algorithms.shared.compare import unit

SIGNAL = math.log(2)  # softplus(0)


def process(kernel, x, y):
    fitted = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None).fit(x, y)
    return fitted, fitted.log_marginal_likelihood(kernel.theta)


@pytest.mark.parametrize("kernel", ["linear", "cossim"])
def test_classes_are_processes_on_minus_and_plus_one(kernel):
    support, query = episodes(shots=(2, 1, 4), way=3, dtype=torch.float64)
    algorithm = build("dkt", way=3, kernel=kernel, batch_norm=False, dtype=torch.float64)
    algorithm.mean.data.fill_(-0.3)
    scores = algorithm.adapt(support)(query.x).detach().numpy()
    covariance = ConstantKernel(SIGNAL) * DotProduct(1e-9) + WhiteKernel(0.1)
    change = unit if kernel == "cossim" else torch.clone
    for b in range(3):
        x, q = (change(part.x[b]).numpy() for part in (support, query))
        for c in range(3):
            labels = np.where(support.y[b].numpy() == c, 1.0, -1.0)
            oracle, _ = process(covariance, x, labels + 0.3)
            np.testing.assert_allclose(scores[b, :, c], oracle.predict(q) - 0.3, atol=1e-7)


def test_loss_is_the_marginal_likelihood_of_support_and_query():
    support, query = episodes(way=2, dtype=torch.float64)
    algorithm = build("dkt", way=2, kernel="linear", batch_norm=False, dtype=torch.float64)
    covariance = ConstantKernel(SIGNAL) * DotProduct(1e-9) + WhiteKernel(0.1)
    total = 0.0
    for b in range(3):
        x = torch.cat([support.x[b], query.x[b]]).numpy()
        labels = 2.0 * torch.cat([support.y[b], query.y[b]]).numpy() - 1
        total += process(covariance, x, labels)[1] / len(labels)
    assert algorithm.loss(support, query).item() == pytest.approx(-total / 3)


def test_regression_is_a_process_with_an_rbf_kernel():
    support, query = curves(outputs=2, dtype=torch.float64)
    algorithm = build("dkt", kind="regression", way=2, batch_norm=False, dtype=torch.float64)
    algorithm.raw_noise.data.fill_(-2.0)
    found = algorithm.adapt(support)(query.x).detach().numpy()
    length = math.log(2) * math.sqrt(8)
    noise = math.log1p(math.exp(-2)) + 1e-4
    covariance = ConstantKernel(SIGNAL) * RBF(length) + WhiteKernel(noise)
    total = 0.0
    for b in range(3):
        x, q = support.x[b].numpy(), query.x[b].numpy()
        oracle, _ = process(covariance, x, support.y[b].numpy())
        np.testing.assert_allclose(found[b], oracle.predict(q), atol=1e-8)
        every = np.r_[support.y[b].numpy(), query.y[b].numpy()]
        total += process(covariance, np.r_[x, q], every)[1] / every.size
    assert algorithm.loss(support, query).item() == pytest.approx(-total / 3)


def test_batch_norm_learns_statistics_in_training_only():
    support, query = episodes(batch=1)
    algorithm = build("dkt")
    before = {name: b.clone() for name, b in algorithm.named_buffers()}
    algorithm.train().adapt(support)(query.x)
    algorithm.eval().loss(support, query)
    assert all(torch.equal(b, before[name]) for name, b in algorithm.named_buffers())
    algorithm.train().loss(support, query)
    both = torch.cat([support.x, query.x], 1)[0]
    torch.testing.assert_close(algorithm.norm.running_mean, 0.1 * both.mean(0))


def test_gradients_are_finite_differences():
    support, query = curves(batch=2, size=5, query=3, width=4, dtype=torch.float64)
    algorithm = build("dkt", kind="regression", way=1, width=4, dtype=torch.float64)

    def loss(x, q):
        return algorithm.loss(Support(x, support.y, 1), type(query)(q, query.y))

    inputs = [t.clone().requires_grad_() for t in (support.x, query.x)]
    assert torch.autograd.gradcheck(loss, inputs, fast_mode=True)


def test_training_learns_an_embedding():
    before, after = learn(
        build("dkt", width=4), lambda s: episodes(s, batch=4, width=4, spread=0.3), accuracy
    )
    assert after > before + 0.15


def test_training_learns_the_scale_and_the_noise_of_values():
    algorithm = build("dkt", kind="regression", way=1, width=4)

    def draw(seed):
        support, query = waves(seed)
        return (
            Support(support.x, 300 * support.y + 1000, 1),
            type(query)(query.x, 300 * query.y + 1000),
        )

    before, after = learn(algorithm, draw, error, steps=60, rate=3e-2, noise=0.5)
    assert after < 0.4 < before
    assert algorithm.noise.item() < 0.5
