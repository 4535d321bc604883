"""LR-D2 against scikit-learn's logistic regression, and its gradients."""

import numpy as np
import pytest
import torch
from alg_cases import build, episodes, target
from closed_form_training import accuracy, learn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from metabench_algorithms.closed_form.lrd2 import reweighted_least_squares


@settings(max_examples=25)
@given(
    seed=st.integers(0, 9999),
    way=st.integers(2, 5),
    shots=st.integers(1, 8),
    width=st.sampled_from([2, 8, 100]),
    penalty=st.sampled_from([0.0062, 0.3, 10.0]),
)
def test_logits_are_scikit_learns_at_convergence(seed, way, shots, width, penalty):
    support, query = episodes(seed, way=way, shots=shots, width=width, dtype=torch.float64)
    algorithm = build("lrd2", way=way, width=width, penalty=penalty, steps=40, dtype=torch.float64)
    scores = algorithm.adapt(support)(query.x).detach().numpy()
    for b in range(3):
        x, q, y = support.x[b].numpy(), query.x[b].numpy(), support.y[b].numpy()
        length = np.sqrt((x**2).sum(1).mean())
        x, q = (np.c_[part / length, np.ones(len(part))] for part in (x, q))
        for c in range(way):
            oracle = LogisticRegression(
                C=1 / penalty, fit_intercept=False, solver="newton-cg", tol=1e-10, max_iter=9999
            ).fit(x, y == c)
            found = scores[b, :, c] * (2 if way == 2 else 1)
            np.testing.assert_allclose(found, oracle.decision_function(q), rtol=1e-4, atol=1e-4)


def test_first_step_is_least_squares():
    support, _ = episodes(way=2, dtype=torch.float64)
    kernel = support.x @ support.x.mT
    labels = support.y.double().unsqueeze(-1)
    penalty = torch.tensor(0.5, dtype=torch.float64)
    found = reweighted_least_squares(kernel, labels, penalty, 1)
    # At zero every label has the variance 1/4 and the working response 4 (y - 1/2).
    expected = torch.linalg.solve(kernel + 4 * 0.5 * torch.eye(6), 4 * (labels - 0.5))
    torch.testing.assert_close(found, expected)


def test_five_steps_are_near_the_optimum():
    support, query = episodes(batch=20, way=5, shots=5, dtype=torch.float64, spread=1.0)
    five, many = (
        build("lrd2", steps=steps, dtype=torch.float64).adapt(support)(query.x) for steps in (5, 50)
    )
    assert (five.argmax(-1) == many.argmax(-1)).float().mean() > 0.9


@pytest.mark.parametrize("way", [2, 3])
def test_gradients_are_finite_differences(way):
    support, query = episodes(batch=2, way=way, shots=2, width=5, dtype=torch.float64)
    algorithm = build("lrd2", way=way, width=5, dtype=torch.float64)
    start = algorithm.penalty.log.detach()
    del algorithm.penalty.log

    def scores(x, q, log):
        algorithm.penalty.log = log
        return algorithm.adapt(type(support)(x, support.y, way))(q)

    inputs = [t.clone().requires_grad_() for t in (support.x, query.x, start)]
    assert torch.autograd.gradcheck(scores, inputs, fast_mode=True)


def test_far_examples_stay_finite():
    support, query = episodes(way=2, shots=20, spread=3.0, width=2)
    scores = build("lrd2", way=2, width=2, penalty=1e-9, steps=60).adapt(support)(query.x)
    assert scores.isfinite().all()


def test_training_learns_an_embedding():
    before, after = learn(
        build("lrd2", width=4),
        lambda s: episodes(s, batch=4, width=4, spread=0.3),
        accuracy,
        steps=80,
    )
    assert after > before + 0.15


def test_steps_are_counted_from_one():
    with pytest.raises(ValueError, match="steps=0 must be at least 1"):
        target("lrd2").Hyperparameters(steps=0)
