"""Accuracy under ties and scores that are no numbers, against a plain loop."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metabench.learners.metrics import accuracy, accuracy_credit

VALUES = st.sampled_from([0.0, 1.0, 1.0, 2.0, -3.5, math.nan, math.inf, -math.inf])


def credit_by_hand(scores, target):
    finite = [s for s in scores if math.isfinite(s)]
    if not finite or scores[target] != max(finite):
        return 0.0
    return 1 / finite.count(max(finite))


@given(data=st.data(), way=st.integers(1, 5), queries=st.integers(1, 4))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_credit_equals_a_plain_loop(data, way, queries):
    rows = data.draw(
        st.lists(st.lists(VALUES, min_size=way, max_size=way), min_size=queries, max_size=queries)
    )
    targets = data.draw(st.lists(st.integers(0, way - 1), min_size=queries, max_size=queries))
    expected = [credit_by_hand(row, target) for row, target in zip(rows, targets, strict=True)]
    scores, truth = torch.tensor([rows]), torch.tensor([targets])
    assert accuracy_credit(scores, truth)[0].tolist() == pytest.approx(expected)
    assert accuracy(scores, truth).tolist() == pytest.approx([sum(expected) / queries])


@pytest.mark.parametrize("way", [2, 3, 5, 7, 20])
@pytest.mark.parametrize("value", [0.0, -1e30, 0.1])
def test_constant_scores_give_exactly_chance(way, value):
    targets = torch.arange(way).repeat(3)[None]
    scores = torch.full((1, 3 * way, way), value)
    assert (accuracy_credit(scores, targets) == 1 / way).all()
    assert accuracy(scores, targets).item() == pytest.approx(1 / way, abs=1e-15)


def test_half_precision_keeps_the_order_and_ties():
    scores = torch.tensor([[[1.0, 1.0, 0.5], [2.0, 1.0, 3.0]]], dtype=torch.bfloat16)
    assert accuracy_credit(scores, torch.tensor([[0, 2]])).tolist() == [[0.5, 1.0]]


def test_float64_scores_that_differ_in_the_last_digit_are_no_tie():
    scores = torch.tensor([[[1.0, 1.0 + 1e-15]]], dtype=torch.float64)
    assert accuracy(scores, torch.tensor([[0]])).item() == 0.0


def test_an_episode_without_queries_is_undefined():
    assert accuracy(torch.zeros(2, 0, 5), torch.zeros(2, 0, dtype=torch.int64)).isnan().all()
