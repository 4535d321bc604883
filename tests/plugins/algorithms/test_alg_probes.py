"""Linear probes against scikit-learn and against plain PyTorch."""

import numpy as np
import pytest
import torch
from alg_cases import build, curves, episodes
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from torch.nn import functional as F

problems = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 9999),
        "batch": st.just(2),
        "way": st.integers(2, 6),
        "shots": st.integers(1, 6),
        "width": st.sampled_from([2, 8, 100]),
        "spread": st.sampled_from([0.05, 1.0, 3.0]),
    }
)


def unit(x, *, normalize):
    return (F.normalize(x, dim=-1) if normalize else x).double().numpy()


@settings(max_examples=30)
@given(problem=problems, c=st.sampled_from([0.01, 1.0, 30.0]), normalize=st.booleans())
def test_logistic_probe_is_scikit_learns(problem, c, normalize):
    support, query = episodes(**problem, dtype=torch.float64)
    way, width = problem["way"], problem["width"]
    algorithm = build(
        "logistic-probe", way=way, width=width, inverse_penalty=c, normalize=normalize
    )
    found = algorithm.adapt(support)(query.x).softmax(-1)
    for b in range(2):
        oracle = LogisticRegression(C=c, solver="newton-cg", max_iter=20000, tol=1e-9)
        oracle.fit(unit(support.x[b], normalize=normalize), support.y[b].numpy())
        expected = oracle.predict_proba(unit(query.x[b], normalize=normalize))
        np.testing.assert_allclose(found[b].numpy(), expected, atol=1e-4)


@settings(max_examples=20)
@given(problem=problems)
def test_logistic_probe_is_scikit_learns_in_single_precision(problem):
    support, query = episodes(**problem)
    way, width = problem["way"], problem["width"]
    found = build("logistic-probe", way=way, width=width).adapt(support)(query.x).softmax(-1)
    for b in range(2):
        oracle = LogisticRegression(solver="newton-cg", max_iter=20000, tol=1e-9)
        oracle.fit(unit(support.x[b], normalize=True), support.y[b].numpy())
        expected = oracle.predict_proba(unit(query.x[b], normalize=True))
        np.testing.assert_allclose(found[b].numpy(), expected, atol=1e-4)


def test_logistic_probe_with_uneven_shots_and_many_classes():
    shots = [1 + i % 7 for i in range(20)]
    support, query = episodes(batch=2, way=20, shots=shots, width=64, query=2, spread=2.0)
    found = build("logistic-probe", way=20, width=64).adapt(support)(query.x).softmax(-1)
    for b in range(2):
        oracle = LogisticRegression(solver="newton-cg", max_iter=20000, tol=1e-9)
        oracle.fit(unit(support.x[b], normalize=True), support.y[b].numpy())
        expected = oracle.predict_proba(unit(query.x[b], normalize=True))
        np.testing.assert_allclose(found[b].numpy(), expected, atol=1e-4)


@settings(max_examples=30)
@given(problem=problems, alpha=st.sampled_from([0.1, 1.0, 50.0]), normalize=st.booleans())
def test_ridge_probe_is_scikit_learns_classifier(problem, alpha, normalize):
    support, query = episodes(**problem)
    way, width = problem["way"], problem["width"]
    algorithm = build("ridge-probe", way=way, width=width, alpha=alpha, normalize=normalize)
    found = algorithm.adapt(support)(query.x)
    for b in range(2):
        oracle = RidgeClassifier(alpha=alpha)
        oracle.fit(unit(support.x[b], normalize=normalize), support.y[b].numpy())
        expected = oracle.decision_function(unit(query.x[b], normalize=normalize))
        if way == 2:
            expected = np.stack([-expected, expected], -1)
        np.testing.assert_allclose(found[b].numpy(), expected, atol=1e-5, rtol=2e-5)


@pytest.mark.parametrize("normalize", [None, False, True])
@pytest.mark.parametrize(("width", "outputs"), [(1, 1), (3, 2), (50, 3)])
def test_ridge_probe_regression_is_scikit_learns(width, outputs, normalize):
    support, query = curves(width=width, outputs=outputs)
    options = {"width": width, "normalize": normalize}
    algorithm = build("ridge-probe", kind="regression", way=outputs, **options)
    found = algorithm.adapt(support)(query.x)
    for b in range(3):
        x = unit(support.x[b], normalize=bool(normalize))
        oracle = Ridge(alpha=1.0).fit(x, support.y[b].double().numpy())
        expected = oracle.predict(unit(query.x[b], normalize=bool(normalize)))
        expected = expected.reshape(found[b].shape)  # scikit-learn drops a single output
        np.testing.assert_allclose(found[b].numpy(), expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("shots", [1, 3, (1, 2, 6, 1, 3)])
def test_baseline_is_plain_sgd(shots):
    support, query = episodes(batch=1, shots=shots, dtype=torch.float64)
    algorithm = build("baseline", dtype=torch.float64)
    found = algorithm.adapt(support)(query.x)
    x, y = support.x[0], support.y[0]
    head = torch.nn.Linear(8, 5).double()
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimiser = torch.optim.SGD(
        head.parameters(), lr=0.01, momentum=0.9, dampening=0.9, weight_decay=0.001
    )
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        for batch in torch.randperm(len(y), generator=generator).split(4):
            optimiser.zero_grad()
            F.cross_entropy(head(x[batch]), y[batch]).backward()
            optimiser.step()
    torch.testing.assert_close(found[0], head(query.x[0]), atol=1e-9, rtol=1e-9)


def test_probes_separate_what_can_be_separated():
    support, query = episodes(batch=20, spread=0.1)
    for name in ("logistic-probe", "ridge-probe", "baseline"):
        right = build(name).adapt(support)(query.x).argmax(-1) == query.y
        assert right.float().mean() > 0.98, name
