"""Each check catches a learner that lacks the property, and passes those that have it."""

import random
import sys

import pytest
import torch
from torch import nn

from metabench.errors import UsageError
from metabench.learners.contracts import Algorithm, class_means
from metabench.testing import CHECKS, check_algorithm
from metabench.testing.names import BALANCED, UNBALANCED
from metabench_algorithms import plugin

INFOS = {info.name: info for info in plugin.metabench_algorithms() if not info.argument}
HONEST = ("baseline", "chance", "gp", "maml", "matchingnet-fce", "protonet", "simpleshot")


class Means(Algorithm):
    """Nearest class mean."""

    def adapt(self, support):
        means = class_means(support)
        return lambda query: -torch.cdist(query, means).square()


class QueryNorm(Means):
    """Standardises the queries by their own statistics."""

    def adapt(self, support):
        predict = super().adapt(support)
        return lambda query: predict(query - query.mean(1, keepdim=True))


class PredictorRemembers(Means):
    """Its predictor drifts with every call."""

    def adapt(self, support):
        predict, calls = super().adapt(support), []

        def drifting(query):
            calls.append(1)
            return predict(query) * len(calls)

        return drifting


class ClassBias(Means):
    """Prefers early classes."""

    def adapt(self, support):
        predict = super().adapt(support)
        return lambda query: predict(query) - 3 * torch.arange(support.way)


class OrderBias(Means):
    """Trusts early examples more."""

    def adapt(self, support):
        weight = torch.linspace(2, 0.5, support.y.shape[1]).unsqueeze(-1)
        return super().adapt(type(support)(support.x * weight, support.y, support.way))


class Remembers(Means):
    """Centres by all that it has ever seen, in a plain attribute."""

    seen = 0.0

    def adapt(self, support):
        self.seen = self.seen + support.x.mean((0, 1))
        predict, centre = super().adapt(support), self.seen
        return lambda query: predict(query - centre)


class MixesEpisodes(Means):
    """Centres by the other episodes of the batch."""

    def adapt(self, support):
        predict, centre = super().adapt(support), support.x.mean((0, 1))
        return lambda query: predict(query - centre)


class Keeps(Means):
    """Counts in a buffer, which has no effect on the scores."""

    def __init__(self, task, hyper=None):
        super().__init__(task, hyper)
        self.register_buffer("count", torch.zeros(()), persistent=False)

    def adapt(self, support):
        self.count += len(support.y)
        return super().adapt(support)


class Descends(Means):
    """Moves its meta-weights while it adapts."""

    def __init__(self, task, hyper=None):
        super().__init__(task, hyper)
        self.shift = nn.Parameter(torch.zeros(task.width))

    def adapt(self, support):
        self.shift.data += 0.01
        predict = super().adapt(support)
        return lambda query: predict(query + self.shift)


class Random(Means):
    """Draws numbers that nobody seeds."""

    def adapt(self, support):
        predict, noise = super().adapt(support), random.random()  # noqa: S311
        return lambda query: predict(query + noise)


class Divides(Means):
    """Divides by the deviation of each feature."""

    def adapt(self, support):
        scale = support.x.std(1, keepdim=True)
        predict = super().adapt(type(support)(support.x / scale, support.y, support.way))
        return lambda query: predict(query / scale)


class Raises(Means):
    """Cannot take a class that is missing."""

    def adapt(self, support):
        if (support.y == support.y[:, :1]).all():
            raise ZeroDivisionError("one class only")
        return super().adapt(support)


class Peeks(Means):
    """Reads the targets of the queries in the frame of whoever calls it."""

    def adapt(self, support):
        predict, frame = super().adapt(support), sys._getframe()
        while frame is not None and "batch" not in frame.f_locals:
            frame = frame.f_back
        if frame is None:
            return predict
        truth = torch.as_tensor(frame.f_locals["batch"].query_targets)
        return lambda query: predict(query) + 9 * nn.functional.one_hot(truth, support.way)


class Rounds(Means):
    """Blows up the rounding of a sum, which is no leak."""

    def adapt(self, support):
        predict, x = super().adapt(support), support.x
        error = 1e5 * (sum(x.unbind(1)) - x.double().sum(1).to(x.dtype))
        return lambda query: predict(query + error.unsqueeze(1))


class AssumesBalance(Means):
    """Gives every class equally many queries, by Sinkhorn's normalisation."""

    def adapt_transductive(self, support, query):
        start = self.adapt(support)(query)

        def balanced(_):
            plan = start
            for _ in range(50):
                plan = plan - plan.logsumexp(1, keepdim=True)
                plan = plan - plan.logsumexp(2, keepdim=True)
            return plan

        return balanced


LEAKS = {
    QueryNorm: "query-independence",
    PredictorRemembers: "query-independence",
    ClassBias: "label-permutation",
    OrderBias: "support-permutation",
    Random: "determinism",
    Keeps: "unchanged-weights",
    Descends: "unchanged-weights",
    Remembers: "task-independence",
    MixesEpisodes: "task-independence",
    Divides: "degenerate-support",
    Peeks: "hidden-targets",
}


def outcomes(findings):
    return {finding.check: finding.outcome for finding in findings}


@pytest.mark.parametrize(("leak", "check"), LEAKS.items(), ids=lambda x: getattr(x, "__name__", x))
def test_leak_is_caught(leak, check):
    with pytest.raises(AssertionError, match=f"{leak.__name__} violates\n  .*{check}: ") as caught:
        check_algorithm(leak)
    assert check in str(caught.value)
    with pytest.raises(AssertionError):
        check_algorithm(leak, checks=[check])


class WritesSupport(Means):
    """Normalises the support in place, which changes nothing the second time."""

    def adapt(self, support):
        support.x.div_(support.x.norm(dim=-1, keepdim=True) + 1e-6)
        return super().adapt(support)


class WritesQuery(Means):
    """Normalises the queries in place."""

    def adapt(self, support):
        predict = super().adapt(support)
        return lambda query: predict(query.div_(query.norm(dim=-1, keepdim=True) + 1e-6))


@pytest.mark.parametrize(("leak", "where"), [(WritesSupport, "support.x"), (WritesQuery, "query")])
@pytest.mark.parametrize("checks", [(), ("scores", "unchanged-inputs")], ids=["all", "two"])
def test_writing_into_inputs_is_caught_and_nothing_else_is_blamed(leak, where, checks):
    with pytest.raises(AssertionError) as caught:
        check_algorithm(leak, checks=checks, recipe="supervised")
    assert str(caught.value) == (
        f"{leak.__name__} violates\n  classification: unchanged-inputs: it wrote into {where}"
    )


def test_rounding_that_grows_is_told_from_a_leak():
    found = {f.check: f for f in check_algorithm(Rounds)["classification"]}["support-permutation"]
    assert found.outcome == "passed"
    assert found.value < 1e-6
    assert "in single, rounding grows to" in found.detail


def test_nothing_is_compared_where_nothing_repeats():
    (found,) = check_algorithm(Random, checks=["hidden-targets"])["classification"]
    assert (found.outcome, found.detail) == (
        "inapplicable",
        "nothing can be compared: see determinism",
    )


@pytest.mark.parametrize(
    "leak", [QueryNorm, ClassBias, OrderBias, Random, Keeps, Remembers, Divides, Peeks]
)
def test_nothing_else_is_blamed(leak):
    check_algorithm(leak, checks=[check for check in CHECKS if check != LEAKS[leak]])


@pytest.mark.parametrize("check", CHECKS)
def test_honest_class(check):
    kinds = ("classification", "binary")
    found = check_algorithm(Means, checks=[check], task_kinds=kinds)
    assert tuple(found) == kinds
    assert outcomes(found["binary"]) == {check: "passed"}


@pytest.mark.parametrize("name", HONEST)
def test_honest_learners_pass(name):
    found = check_algorithm(INFOS[name])
    assert tuple(found) == INFOS[name].task_kinds
    for findings in found.values():
        assert set(CHECKS) <= set(outcomes(findings))


def test_installed_learner_by_name():
    assert check_algorithm("protonet", checks=["determinism"])["binary"][0].value == 0


def test_declarations_excuse():
    found = check_algorithm(QueryNorm, inductive=False)["classification"]
    assert outcomes(found)["query-independence"] == "declared"
    for leak, check, field in (
        (ClassBias, "label-permutation", "label_equivariant"),
        (OrderBias, "support-permutation", "support_order_free"),
    ):
        frank = type(leak.__name__, (leak,), {field: False})
        (found,) = check_algorithm(frank, checks=[check])["classification"]
        assert found.outcome == "declared"
        assert found.value > 0.01


def test_a_declaration_that_is_not_needed_passes():
    found = check_algorithm(Means, inductive=False, checks=["query-independence"])
    assert found["classification"][0].outcome == "passed"
    assert "not seen here" in found["classification"][0].detail


def test_transductive_learner_gets_two_numbers():
    found = {f.check: f for f in check_algorithm(AssumesBalance, inductive=False)["classification"]}
    assert found[BALANCED].outcome == found[UNBALANCED].outcome == "measured"
    assert found[BALANCED].value > found[UNBALANCED].value + 0.02
    assert BALANCED not in outcomes(check_algorithm(Means)["classification"])


def test_what_a_learner_raises_is_its_violation():
    check_algorithm(Raises)
    with pytest.raises(
        AssertionError, match="no example of class 0: raised ZeroDivisionError: one"
    ):
        check_algorithm(Raises, task_kinds=("binary",))


def test_the_callers_random_numbers_are_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    check_algorithm(Means, checks=["determinism"])
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(
    ("arguments", "declared", "message"),
    [
        (("protonte",), {}, "unknown algorithm 'protonte'; did you mean protonet"),
        ((Means,), {"checks": ["determinsm"]}, "unknown check 'determinsm'; did you mean"),
        ((Means,), {"induktive": True}, "unknown declaration 'induktive'; did you mean inductive?"),
        (("protonet",), {"inductive": False}, "says this already"),
        ((object,), {}, r"^object is no subclass of metabench\.learners\.contracts\.Algorithm; "),
        ((3,), {}, "^3 is no algorithm; give the name of an installed algorithm, a descriptor or "),
        ((Means(None, None),), {}, "is no algorithm; give the name"),
    ],
)
def test_mistakes_are_named(arguments, declared, message):
    with pytest.raises(UsageError, match=message):
        check_algorithm(*arguments, **declared)
