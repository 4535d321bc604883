"""Support vector machines against scikit-learn's on each class and the rest."""

import numpy as np
import pytest
import torch
from alg_cases import build, curves, episodes
from sklearn.svm import SVC, SVR

from metabench.errors import UsageError
from metabench.learners.contracts import Support

NAMES = {"linear": "linear-svm", "rbf": "rbf-svm"}


def scaled(support, query, b):
    """Support and queries of one episode in units of the support's spread."""
    x = support.x[b].double()
    spread = (x - x.mean(0)).square().mean().sqrt()
    return (x - x.mean(0)) / spread, (query.x[b].double() - x.mean(0)) / spread


@pytest.mark.parametrize("options", [{}, {"penalty": 0.1}, {"gamma": 0.3}], ids=str)
@pytest.mark.parametrize("kernel", NAMES)
def test_margins_are_those_of_machines_against_the_rest(kernel, options):
    support, query = episodes(way=3, shots=(4, 9, 6), spread=1.5)
    found = build(NAMES[kernel], way=3, **options).adapt(support)(query.x)
    theirs = {"C": options.get("penalty", 1.0), "gamma": options.get("gamma", "scale")}
    for b in range(3):
        x, q = scaled(support, query, b)
        for c in range(3):
            machine = SVC(kernel=kernel, tol=1e-6, **theirs).fit(x, support.y[b] == c)
            expected = machine.decision_function(q)
            np.testing.assert_allclose(found[b, :, c], expected, atol=1e-4)


@pytest.mark.parametrize("kernel", NAMES)
def test_two_classes_have_one_machine(kernel):
    support, query = episodes(way=2, shots=(9, 5), spread=1.5)
    found = build(NAMES[kernel], way=2, kind="binary").adapt(support)(query.x)
    for b in range(3):
        x, q = scaled(support, query, b)
        expected = SVC(kernel=kernel, tol=1e-6).fit(x, support.y[b]).decision_function(q)
        np.testing.assert_allclose(found[b, :, 1], expected, atol=1e-4)
    assert torch.equal(found[..., 0], -found[..., 1])


@pytest.mark.parametrize("kernel", NAMES)
def test_values_are_those_of_support_vector_regression(kernel):
    support, query = curves(outputs=2, size=30, scale=50.0)
    found = build(NAMES[kernel], kind="regression", way=2).adapt(support)(query.x)
    for b in range(3):
        x, q = scaled(support, query, b)
        for k in range(2):
            y = support.y[b, :, k].double().numpy()
            machine = SVR(kernel=kernel, tol=1e-6).fit(x, (y - y.mean()) / y.std())
            expected = machine.predict(q) * y.std() + y.mean()
            np.testing.assert_allclose(found[b, :, k], expected, atol=1e-2)


@pytest.mark.parametrize("name", NAMES.values())
def test_absent_class_is_last_and_the_unit_is_of_no_account(name):
    support, query = episodes(shots=(3, 0, 3, 3, 3))
    scores = build(name).adapt(support)(query.x)
    assert (scores[..., 1] == -1).all()
    moved = build(name).adapt(Support(7 * support.x - 100, support.y, 5))(7 * query.x - 100)
    torch.testing.assert_close(moved, scores, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [("penalty", 0.0, "above 0"), ("gamma", -1.0, "least 0"), ("epsilon", -1.0, "least 0")],
)
def test_settings_are_checked(option, value, rule):
    with pytest.raises(UsageError, match=f"{option}={value} must .*{rule}"):
        build("rbf-svm", **{option: value})
