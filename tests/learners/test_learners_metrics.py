"""Metrics under ties and scores that are no numbers, against plain loops and scikit-learn."""

import itertools
import math

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metabench.learners import metrics
from metabench.learners.metrics import Answered, accuracy_credit

VALUES = st.sampled_from([0.0, 1.0, 1.0, 2.0, -3.5, math.nan, math.inf, -math.inf])


def answered(scores, targets, support=None, **more):
    support = targets if support is None else support
    return Answered(scores, targets, support, **more)


def accuracy(scores, targets):
    return metrics.accuracy(answered(scores, targets))


def credit_by_hand(scores, target):
    finite = [s for s in scores if math.isfinite(s)]
    if not finite or scores[target] != max(finite):
        return 0.0
    return 1 / finite.count(max(finite))


@given(data=st.data(), way=st.integers(1, 5), queries=st.integers(1, 4))
@settings(max_examples=200)
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


def binary(margins, labels, **more):
    margins = torch.tensor(margins, dtype=torch.float64)
    scores = torch.stack([torch.zeros_like(margins), margins], dim=-1)
    return answered(scores, torch.tensor(labels), **more)


EPISODE = st.lists(st.tuples(st.integers(-2, 2), st.booleans()), min_size=2, max_size=30)


@given(episode=EPISODE)
@settings(max_examples=200)
def test_binary_metrics_equal_scikit_learn_under_ties(episode):
    margins, labels = [float(m) for m, _ in episode], [int(label) for _, label in episode]
    given_answers = binary([margins, margins[::-1]], [labels, labels[::-1]])
    found = [
        getattr(metrics, name)(given_answers).tolist()
        for name in ("auroc", "average_precision", "delta_auprc")
    ]
    if len(set(labels)) == 1:
        assert all(math.isnan(value) for values in found for value in values)
        return
    area = sklearn.metrics.roc_auc_score(labels, margins)
    precision = sklearn.metrics.average_precision_score(labels, margins)
    expected = [area, precision, precision - sum(labels) / len(labels)]
    for values, value in zip(found, expected, strict=True):
        assert values == pytest.approx([value, value])


def test_a_binary_score_that_is_no_number_ranks_last():
    scores = torch.tensor([[[0.0, math.nan], [0.0, -5.0], [0.0, 1.0]]])
    targets = torch.tensor([[1, 0, 0]])
    assert metrics.auroc(answered(scores, targets)).item() == 0.0
    assert metrics.binary_margin(scores)[0, 0].item() == -math.inf


def test_constant_binary_scores_gain_nothing():
    answers = binary([[3.0] * 10], [[1] * 3 + [0] * 7])
    assert metrics.auroc(answers).item() == 0.5
    assert metrics.delta_auprc(answers).item() == pytest.approx(0.0, abs=1e-15)


@given(data=st.data(), questions=st.integers(1, 4))
@settings(max_examples=60)
def test_mrr_is_the_mean_over_every_way_to_break_ties(data, questions):
    margins, labels, groups, expected = [], [], [], []
    for question in range(questions):
        size = data.draw(st.integers(2, 5))
        scores = data.draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
        hits = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
        margins += [float(score) for score in scores]
        labels += [int(hit) for hit in hits]
        groups += [7 * question] * size
        if 0 < sum(hits) < size:
            ranks = []
            for tie_break in itertools.permutations(range(size)):
                order = sorted(range(size), key=lambda n: (-scores[n], tie_break[n]))
                ranks.append(1 / (1 + min(order.index(n) for n in range(size) if hits[n])))
            expected.append(np.mean(ranks))
    order = data.draw(st.permutations(range(len(labels))))
    answers = binary(
        [[margins[n] for n in order]],
        [[labels[n] for n in order]],
        lists=torch.tensor([[groups[n] for n in order]]),
    )
    found = metrics.mrr(answers).item()
    assert found == pytest.approx(np.mean(expected)) if expected else math.isnan(found)


def test_mrr_needs_questions():
    with pytest.raises(ValueError, match="the source has no lists"):
        metrics.mrr(binary([[1.0, 0.0]], [[1, 0]]))


def regression(seed=0, outputs=3):
    rng = np.random.default_rng(seed)
    targets = torch.tensor(rng.normal(size=(4, 9, outputs)), dtype=torch.float32)
    support = torch.tensor(rng.normal(size=(4, 5, outputs)), dtype=torch.float32)
    return targets + 0.3, targets, support


def test_regression_metrics_equal_their_definitions():
    scores, targets, support = regression()
    answers = answered(scores, targets, support)
    error = (scores - targets).double().square().sum(1)
    base = (targets - support.mean(1, keepdim=True)).double().square().sum(1)
    torch.testing.assert_close(metrics.nmse(answers), (error / base).mean(1), rtol=1e-5, atol=1e-7)
    expected = [
        sklearn.metrics.r2_score(t.numpy(), s.numpy()) for t, s in zip(targets, scores, strict=True)
    ]
    assert metrics.r2(answers).tolist() == pytest.approx(expected, rel=1e-5)
    assert metrics.mse(answers).tolist() == pytest.approx([0.09] * 4, rel=1e-5)


def test_predicting_the_support_mean_is_exactly_one():
    _, targets, support = regression()
    mean = support.mean(1, keepdim=True).expand_as(targets)
    assert metrics.nmse(answered(mean, targets, support)).tolist() == pytest.approx([1.0] * 4)


def test_an_output_that_is_constant_in_the_episode_does_not_count():
    scores, targets, support = regression()
    padded = [torch.cat([part, torch.full_like(part[..., :1], 0.1)], -1) for part in
              (scores, targets, support)]  # fmt: skip
    padded[0][..., -1] += 1  # wrong where nothing can be gained
    assert metrics.nmse(answered(*padded)).tolist() == pytest.approx(
        metrics.nmse(answered(scores, targets, support)).tolist()
    )
    flat = torch.full((1, 4, 2), 0.3)
    assert metrics.nmse(answered(flat, flat, flat)).isnan().all()
    assert metrics.r2(answered(flat, flat, flat)).isnan().all()


def test_a_prediction_that_is_no_number_is_infinitely_wrong():
    scores, targets, support = regression()
    scores[1, 2, 0], scores[2, 0, 1] = math.nan, math.inf
    assert metrics.nmse(answered(scores, targets, support)).isinf().tolist() == [
        False, True, True, False,
    ]  # fmt: skip
    assert metrics.mse(answered(scores, targets, support)).isinf().sum() == 2
    assert metrics.r2(answered(scores, targets, support))[1].item() == -math.inf


def test_answers_from_a_record_have_no_predictor():
    with pytest.raises(RuntimeError, match="no predictor is at hand to answer x"):
        binary([[1.0]], [[1]]).predict({"x": torch.zeros(1, 1)})
