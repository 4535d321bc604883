"""Helpers and defaults of the algorithm contract."""

import dataclasses
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learner_cases import Counting, Means, Scaled
from torch.nn import functional as F

from metabench.errors import UsageError
from metabench.learners.contracts import (
    EpisodeAlgorithm,
    Hyperparameters,
    InputSpec,
    Query,
    Support,
    TaskSpec,
    bounded,
    build_hyperparameters,
    class_means,
    one_hot,
    task_loss,
)

SPEC = TaskSpec("classification", 3, 4)


@given(
    shots=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    batch=st.integers(1, 3),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=100)
def test_class_means_go_by_label_whatever_the_order_and_shots(shots, batch, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(shots)), torch.tensor(shots))
    y = torch.stack(
        [labels[torch.randperm(len(labels), generator=generator)] for _ in range(batch)]
    )
    x = torch.randn(batch, len(labels), 4, generator=generator, dtype=torch.float64)
    means = class_means(Support(x, y, len(shots)))
    assert means.shape == (batch, len(shots), 4)
    for row in range(batch):
        for label in range(len(shots)):
            torch.testing.assert_close(means[row, label], x[row][y[row] == label].mean(0))
    order = torch.randperm(len(labels), generator=generator)
    torch.testing.assert_close(class_means(Support(x[:, order], y[:, order], len(shots))), means)


def test_a_class_without_support_has_a_finite_mean():
    support = Support(torch.ones(1, 2, 3), torch.tensor([[0, 2]]), 3)
    assert class_means(support)[0, 1].tolist() == [0, 0, 0]


def test_one_hot_and_default_losses():
    assert one_hot(torch.tensor([[2, 0]]), 3).tolist() == [[[0, 0, 1], [1, 0, 0]]]
    scores, labels = torch.randn(2, 5, 3), torch.randint(3, (2, 5))
    plain = torch.stack([F.cross_entropy(s, t) for s, t in zip(scores, labels, strict=True)])
    torch.testing.assert_close(task_loss(scores, labels), plain.mean())
    values = torch.randn(2, 5)
    assert task_loss(values + 2, values).item() == pytest.approx(4)


def test_the_default_loss_is_that_of_the_adapted_predictor_on_the_queries():
    support = Support(torch.randn(2, 6, 4), torch.arange(6).repeat(2, 1) % 3, 3)
    query = Query(torch.randn(2, 5, 4), torch.randint(3, (2, 5)))
    learner = Means(SPEC)
    expected = task_loss(learner.adapt(support)(query.x), query.y)
    torch.testing.assert_close(learner.loss(support, query), expected)
    torch.testing.assert_close(
        learner.adapt_transductive(support, query.x)(query.x), learner.adapt(support)(query.x)
    )


class Single(EpisodeAlgorithm):
    def adapt_episode(self, x, y, way):
        means = torch.stack([x[y == label].mean(0) for label in range(way)])
        return lambda query: -torch.cdist(query, means).square()


def test_an_author_of_a_single_episode_is_mapped_over_the_batch():
    support = Support(torch.randn(4, 6, 4), torch.arange(6).repeat(4, 1) % 3, 3)
    query = torch.randn(4, 7, 4)
    torch.testing.assert_close(
        Single(SPEC).adapt(support)(query), Means(SPEC).adapt(support)(query)
    )


def test_hyperparameters_are_applied_and_integers_pass_for_floats():
    hyper = build_hyperparameters(
        Scaled.Hyperparameters,
        {"steps": 7, "temperature": 2, "train_way": None, "optimizer": "sgd"},
        "scaled",
    )
    assert (hyper.steps, hyper.temperature, hyper.train_way, hyper.fancy) == (7, 2.0, None, False)
    assert isinstance(hyper.temperature, float)
    assert build_hyperparameters(Hyperparameters, {}, "x") == Hyperparameters()


def test_an_unknown_hyperparameter_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"scaled hyperparameter 'stepz'; did you mean steps"):
        build_hyperparameters(Scaled.Hyperparameters, {"stepz": 1}, "scaled")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("steps", "x", "int"),
        ("steps", "3", "int"),
        ("steps", 2.5, "int"),
        ("steps", True, "int"),
        ("steps", None, "int"),
        ("temperature", "1.0", "float"),
        ("temperature", True, "float"),
        ("fancy", 1, "bool"),
        ("optimizer", "adamw", "'adam' or 'sgd'"),
        ("train_way", "five", "int or None"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_what_was_expected(name, value, expected):
    with pytest.raises(UsageError) as caught:
        build_hyperparameters(Scaled.Hyperparameters, {name: value}, "scaled")
    assert str(caught.value) == f"scaled hyperparameter {name}={value!r} is not {expected}"


def test_what_the_dataclass_itself_refuses_is_a_usage_error():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Picky(Hyperparameters):
        mode: Literal["a", "b"] = "a"
        steps: int = 1

        def __post_init__(self):
            super().__post_init__()
            if self.mode == "b" and self.steps < 2:
                raise ValueError(f"steps={self.steps} is too few for mode 'b'")

    with pytest.raises(UsageError, match="picky: steps=1 is too few"):
        build_hyperparameters(Picky, {"mode": "b"}, "picky")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ranged(Hyperparameters):
    share: float = bounded(0.5, least=0, below=1)
    rate: float | None = bounded(None, above=0, most=2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Narrower(Ranged):
    share: float = 0.25
    meta_batch: int = 4


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("share", -0.1, "at least 0 and below 1"),
        ("share", 1.0, "at least 0 and below 1"),
        ("rate", 0.0, "above 0 and at most 2"),
        ("rate", 2.5, "above 0 and at most 2"),
        ("meta_batch", 0, "at least 1"),
        ("train_way", 1, "at least 2"),
    ],
)
@pytest.mark.parametrize("cls", [Ranged, Narrower])
def test_a_value_outside_its_range_is_refused_in_subclasses_too(cls, name, value, rule):
    with pytest.raises(UsageError, match=f"x: {name}={value} must be {rule}"):
        build_hyperparameters(cls, {name: value}, "x")


def test_values_within_their_range_and_none_pass():
    assert Narrower().rate is None
    assert Narrower(share=0.0, rate=2.0).share == 0.0


def test_the_spec_and_the_digest_describe_inputs_and_weights():
    spec = InputSpec.of("image", {"pixels": torch.zeros(3, 1, 8, 8, dtype=torch.uint8)})
    assert spec.shapes == {"pixels": (1, 8, 8)}
    assert spec.dtypes == {"pixels": torch.uint8}
    torch.manual_seed(0)
    first, second = Counting(), Counting()
    assert first.weights_digest() != second.weights_digest()
    second.load_state_dict(first.state_dict())
    assert first.weights_digest() == second.weights_digest()
    with torch.no_grad():
        second.norm.running_mean[0] += 1e-7
    assert first.weights_digest() != second.weights_digest()
