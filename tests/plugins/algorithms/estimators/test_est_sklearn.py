"""Estimators of scikit-learn as learners, against scikit-learn itself."""

import sys
import types

import numpy as np
import pytest
import torch
from alg_cases import curves, episodes
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from metabench.errors import InapplicableError, MetabenchError, UnavailableError, UsageError
from metabench.learners.contracts import Support, TaskSpec, build_hyperparameters
from metabench.registry.checks import descriptor_faults
from metabench_algorithms import plugin
from metabench_algorithms.estimators.estimator import Estimator
from metabench_algorithms.estimators.lookup import build_estimator

(INFO,) = [info for info in plugin.metabench_algorithms() if info.name == "sklearn"]
CLASSIFIERS = (
    "ensemble.ExtraTreesClassifier", "linear_model.LogisticRegression", "svm.SVC",
    "svm.LinearSVC", "neural_network.MLPClassifier", "neighbors.NearestCentroid",
    "linear_model.RidgeClassifier", "naive_bayes.GaussianNB",
)  # fmt: skip


def learner(argument, kind="classification", way=5, width=8, **options):
    options = {"argument": argument, **options}
    hyper = build_hyperparameters(Estimator.Hyperparameters, options, f"sklearn:{argument}")
    return Estimator(TaskSpec(kind, way, width), hyper).eval()


def scores(argument, support, query, seed=0, **options):
    torch.manual_seed(seed)
    return learner(argument, way=support.way, **options).adapt(support)(query)


def fitted(estimator, support, number):
    return estimator.fit(support.x[number].double().numpy(), support.y[number].numpy())


def rows(query, number):
    return query.x[number].double().numpy()


def test_descriptor_says_what_it_takes():
    assert not descriptor_faults(INFO)
    assert INFO.argument
    assert INFO.libraries == ("sklearn",)
    assert INFO.suites == ()


def test_probabilities_are_those_of_the_estimator():
    support, query = episodes(way=4)
    found = scores("linear_model.LogisticRegression", support, query.x, C=0.5, max_iter=1000)
    for number in range(3):
        expected = fitted(LogisticRegression(C=0.5, max_iter=1000), support, number)
        np.testing.assert_allclose(
            found[number], expected.predict_proba(rows(query, number)), atol=1e-3
        )


def test_without_probabilities_the_margin_decides():
    for way in (2, 4):
        support, query = episodes(way=way)
        found = scores("svm.SVC", support, query.x)
        expected = fitted(SVC(), support, 0).decision_function(rows(query, 0))
        if way == 2:
            expected = np.stack([-expected, expected], 1)
        assert (found[0].numpy().argmax(1) == expected.argmax(1)).all()
        assert not torch.allclose(found.sum(-1), torch.ones(()))
    ridge = scores("linear_model.RidgeClassifier", support, query.x)
    expected = fitted(RidgeClassifier(), support, 0).decision_function(rows(query, 0))
    np.testing.assert_allclose(ridge[0], expected, atol=1e-4)


def test_votes_of_pairs_are_no_scores_of_classes():
    support, query = episodes(way=4)
    found = scores("svm.SVC", support, query.x, decision_function_shape="ovo")
    assert found.shape[-1] == 4
    assert set(found.unique().tolist()) == {0.0, 1.0}


def test_who_only_predicts_scores_one():
    support, query = episodes()
    found = scores(f"{__name__}:OnlyPredicts", support, query.x)
    expected = fitted(NearestCentroid(), support, 1).predict(rows(query, 1))
    assert found[1].sum(1).eq(1).all()
    assert (found[1].argmax(1).numpy() == expected).all()


class OnlyPredicts(ClassifierMixin, BaseEstimator):
    def fit(self, x, y):
        self.inner = NearestCentroid().fit(x, y)
        self.classes_ = self.inner.classes_
        return self

    def predict(self, x):
        return self.inner.predict(x)


class Untagged:
    """What followed scikit-learn's interface before it had tags."""

    def __init__(self, shift=0.0):
        self.shift = shift

    def get_params(self, **_deep):
        return {"shift": self.shift}

    def set_params(self, **parameters):
        self.__dict__.update(parameters)
        return self

    def fit(self, _x, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, x):
        return np.tile(np.arange(len(self.classes_)) + self.shift, (len(x), 1))


def test_estimators_of_other_packages_and_without_tags():
    support, query = episodes(way=3)
    found = scores(f"{__name__}:Untagged", support, query.x, shift=2.0)
    assert found.amin() == 2.0
    assert found.amax() == 4.0


@pytest.mark.parametrize("argument", CLASSIFIERS)
def test_order_and_labels_do_not_reach_the_estimator(argument):
    support, query = episodes(way=4, shots=(1, 2, 3, 2))
    before = scores(argument, support, query.x)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    shuffled = Support(support.x[:, order], support.y[:, order], 4)
    assert torch.equal(scores(argument, shuffled, query.x), before)
    new = torch.tensor([2, 0, 3, 1])
    renamed = Support(support.x, new[support.y], 4)
    assert torch.equal(scores(argument, renamed, query.x)[..., new], before)
    alone = torch.cat([scores(argument, support, q) for q in query.x.split(1, dim=1)], 1)
    torch.testing.assert_close(alone, before, atol=1e-5, rtol=1e-5)


def test_random_state_comes_from_the_seed_unless_it_is_given():
    support, query = episodes()
    name = "ensemble.ExtraTreesClassifier"
    found = [scores(name, support, query.x, seed=seed, n_estimators=5) for seed in (0, 0, 1)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    given = [
        scores(name, support, query.x, seed=seed, n_estimators=5, random_state=3) for seed in (0, 1)
    ]
    assert torch.equal(given[0], given[1])
    x, y = support.x[0].double().numpy(), support.y[0].numpy()
    order = np.lexsort(x.T[::-1])
    first = {label: rank for rank, label in enumerate(dict.fromkeys(y[order].tolist()))}
    own = ExtraTreesClassifier(5, random_state=3).fit(
        x[order], [first[label] for label in y[order]]
    )
    expected = own.predict_proba(rows(query, 0))[:, [first[label] for label in range(5)]]
    np.testing.assert_allclose(given[0][0], expected, atol=1e-6)


@pytest.mark.parametrize("argument", ["svm.SVC", "naive_bayes.GaussianNB"])
def test_classes_without_an_example_come_last(argument):
    support, query = episodes(way=4)
    kept = support.y[0] != 2
    few = Support(support.x[:1, kept], support.y[:1, kept], 4)
    found = scores(argument, few, query.x[:1])[0]
    assert found.isfinite().all()
    others = found[:, [0, 1, 3]]
    assert (found[:, 2] <= others.amin(1)).all()
    assert (others.argmax(1) != -1).all()


def test_one_class_in_the_support():
    support, query = episodes(way=2)
    kept = support.y[0] == 1
    few = Support(support.x[:1, kept], support.y[:1, kept], 2)
    found = scores("svm.SVC", few, query.x[:1], kind="binary")
    assert found[0].tolist() == [[0.0, 1.0]] * query.x.shape[1]


def test_regression_with_one_and_several_outputs():
    for outputs, argument, own in (
        (1, "linear_model.Ridge", Ridge()),
        (3, "linear_model.Ridge", Ridge()),
        (1, "svm.SVR", SVR()),
        (3, "svm.SVR", MultiOutputRegressor(SVR())),
    ):
        support, query = curves(outputs=outputs)
        found = scores(argument, support, query.x, kind="regression")
        assert found.shape == query.y.shape
        y = support.y[0].double().numpy()
        own.fit(support.x[0].double().numpy(), y[:, 0] if outputs == 1 else y)
        expected = own.predict(rows(query, 0)).reshape(-1, outputs)
        np.testing.assert_allclose(found[0], expected, atol=1e-4)


def test_estimators_inside_estimators():
    support, query = episodes(way=3)
    steps = [
        ["scale", "sklearn:preprocessing.StandardScaler"],
        ["svm", {"sklearn": "svm.SVC", "C": 3.0}],
    ]
    found = scores("pipeline.Pipeline", support, query.x, steps=steps)
    own = fitted(make_pipeline(StandardScaler(), SVC(C=3.0)), support, 0)
    assert (found[0].argmax(1).numpy() == own.predict(rows(query, 0))).all()
    rest = scores(
        "multiclass.OneVsRestClassifier", support, query.x,
        estimator="sklearn:linear_model.LogisticRegression",
    )  # fmt: skip
    assert rest.shape == (3, 12, 3)
    nested = scores(
        "ensemble.BaggingClassifier", support, query.x, n_estimators=3,
        estimator={"sklearn": "tree.DecisionTreeClassifier", "max_features": 1},
    )  # fmt: skip
    again = scores(
        "ensemble.BaggingClassifier", support, query.x, n_estimators=3,
        estimator={"sklearn": "tree.DecisionTreeClassifier", "max_features": 1},
    )  # fmt: skip
    assert torch.equal(nested, again)


def test_parameters_named_like_settings_of_meta_training_go_to_the_estimator():
    built = learner("ensemble.GradientBoostingClassifier", learning_rate=0.7, n_estimators=3)
    assert built._template[0].learning_rate == 0.7
    assert built.hyper.learning_rate == 1e-3


@pytest.mark.parametrize(
    ("argument", "options", "error", "message"),
    [
        ("ensemble.ExtraTreesClasifier", {}, UsageError, "sklearn:ensemble.ExtraTreesClassifier"),
        ("ExtraTreesClassifier", {}, UsageError, "did you mean sklearn:ensemble.ExtraTreesClas"),
        ("trees.DecisionTreeClassifier", {}, UsageError, "sklearn:tree.DecisionTreeClassifier"),
        ("preprocessing.StandardScaler", {}, UsageError, "neither a classifier nor a regressor"),
        ("svm.SVR", {}, InapplicableError, "is a regressor, and classification needs a classifier"),
        ("svm.SVC", {"c": 1}, UsageError, "sklearn:svm.SVC parameter 'c'"),
        ("multiclass.OneVsRestClassifier", {}, UsageError, "needs estimator; an estimator is"),
        ("no_such_pkg:Thing", {}, UnavailableError, "no_such_pkg"),
        ("torch.nowhere:Thing", {}, UsageError, "there is no such class"),
        ("sklearn.svm:SVCC", {}, UsageError, "did you mean sklearn:sklearn.svm:SVC"),
        ("sklearn.base:clone", {}, UsageError, "no such class with a method fit"),
        ("", {}, UsageError, "needs an estimator"),
        (
            "multiclass.OneVsRestClassifier", {"estimator": "sklearn:x:Y"}, UsageError,
            "has to be scikit-learn's",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_told_in_one_line(argument, options, error, message):
    with pytest.raises(error) as caught:
        learner(argument, **options)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_what_cannot_be_cloned_is_refused(monkeypatch):
    module = types.ModuleType("odd_estimators")

    class Odd:
        def fit(self, *_data):
            return self

    module.Odd = Odd
    monkeypatch.setitem(sys.modules, "odd_estimators", module)
    with pytest.raises(UsageError, match="get_params"):
        build_estimator("odd_estimators:Odd", {})


def test_an_estimator_that_cannot_be_fitted_says_why():
    support, query = episodes(way=2, shots=1)
    with pytest.raises(MetabenchError, match=r"cannot be applied to .*neighbors") as caught:
        scores("neighbors.KNeighborsClassifier", support, query.x)
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(MetabenchError, match=r"svm\.SVC cannot fit 2 examples of 8 features"):
        scores("svm.SVC", support, query.x, C=-1.0)
