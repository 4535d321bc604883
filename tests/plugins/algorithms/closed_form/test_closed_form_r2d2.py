"""R2-D2 against scikit-learn's ridge regression, and its gradients against finite differences."""

import numpy as np
import pytest
import torch
from alg_cases import build, curves, episodes, target
from closed_form_training import accuracy, error, learn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from metabench.learners.contracts import Query, Support
from metabench_algorithms.closed_form.base_learner import length_of

shapes = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 9999),
        "way": st.integers(2, 6),
        "shots": st.integers(1, 8),
        "width": st.sampled_from([2, 8, 100]),
    }
)


@settings(max_examples=25)
@given(shape=shapes, penalty=st.sampled_from([0.0062, 1.0, 50.0]))
def test_logits_are_scaled_ridge_regression_of_one_hot_labels(shape, penalty):
    support, query = episodes(**shape, dtype=torch.float64)
    way, width = shape["way"], shape["width"]
    found = build("r2d2", way=way, width=width, penalty=penalty, dtype=torch.float64)
    scores = found.adapt(support)(query.x)
    size = support.y.shape[1]
    for b in range(3):
        x, q = support.x[b].numpy(), query.x[b].numpy()
        length = np.sqrt((x**2).sum(1).mean())
        x, q = (np.c_[part / length, np.ones(len(part))] for part in (x, q))
        oracle = Ridge(alpha=penalty * size, fit_intercept=False)
        oracle.fit(x, np.eye(way)[support.y[b].numpy()])
        expected = 10 * oracle.predict(q)
        np.testing.assert_allclose(scores[b].detach().numpy(), expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=15)
@given(seed=st.integers(0, 9999), size=st.integers(2, 30), width=st.sampled_from([1, 8, 64]))
def test_regression_is_ridge_regression_with_an_intercept(seed, size, width):
    support, query = curves(seed, size=size, width=width, outputs=2, dtype=torch.float64)
    algorithm = build("r2d2", kind="regression", way=2, width=width, dtype=torch.float64)
    found = algorithm.adapt(support)(query.x)
    for b in range(3):
        x = support.x[b].numpy()
        length = np.sqrt(((x - x.mean(0)) ** 2).sum(1).mean())
        oracle = Ridge(alpha=0.0062 * size).fit(x / length, support.y[b].numpy())
        expected = oracle.predict(query.x[b].numpy() / length)
        np.testing.assert_allclose(found[b].detach().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_gradients_are_finite_differences(kind, size):
    regression = kind == "regression"
    if regression:
        support, query = curves(batch=2, size=2 * size, width=6, outputs=2, dtype=torch.float64)
    else:
        support, query = episodes(batch=2, way=3, shots=size, width=6, dtype=torch.float64)
    way = 2 if regression else 3
    algorithm = build("r2d2", kind=kind, way=way, width=6, dtype=torch.float64)

    def loss(x, q, *weights):
        names = [name for name, _ in algorithm.named_parameters()]
        return torch.func.functional_call(
            Loss(algorithm),
            {f"inner.{name}": weight for name, weight in zip(names, weights, strict=True)},
            (Support(x, support.y, way), Query(q, query.y)),
        )

    inputs = [support.x, query.x, *(w.detach() for w in algorithm.parameters())]
    assert torch.autograd.gradcheck(
        loss, [t.clone().requires_grad_() for t in inputs], fast_mode=True
    )


class Loss(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, support, query):
        return self.inner.loss(support, query)


def test_scale_of_the_embeddings_is_without_effect():
    support, query = episodes(dtype=torch.float64)
    algorithm = build("r2d2", dtype=torch.float64)
    before = algorithm.adapt(support)(query.x)
    after = algorithm.adapt(Support(1e3 * support.x, support.y, 5))(1e3 * query.x)
    torch.testing.assert_close(after, before)
    assert float(length_of(torch.zeros(1, 3, 2))) == 1


def test_training_learns_an_embedding():
    algorithm = build("r2d2", width=4)
    before, after = learn(
        algorithm, lambda seed: episodes(seed, batch=4, width=4, spread=0.3), accuracy
    )
    assert after > before + 0.15
    assert algorithm.penalty().item() != pytest.approx(0.0062)


def test_training_learns_an_embedding_for_regression():
    algorithm = build("r2d2", kind="regression", way=1, width=4)

    def draw(seed):
        return curves(seed, batch=8, width=1)

    before, after = learn(algorithm, draw, error, steps=100, rate=3e-2, noise=0.5)
    assert after < before - 0.2


def test_a_penalty_is_positive():
    for name in ("r2d2", "lrd2"):
        with pytest.raises(ValueError, match=r"penalty=0\.0 must be above 0"):
            target(name).Hyperparameters(penalty=0.0)
