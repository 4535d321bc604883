import time

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from metabench.leaderboard.intervals import intervals
from metabench.leaderboard.ranking import (
    average_ranks,
    holm,
    paired_tests,
    rank_intervals,
)
from metabench.leaderboard.statistics import (
    bootstrap_means,
    can_vary,
    draws,
    mean_over_seeds,
    percentile_interval,
    t_interval,
    usable,
)

SCORES = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([0.0, 0.2, 1.0, float("nan")]))


def test_t_interval_agrees_with_scipy(rng):
    scores = rng.normal(0.7, 0.1, 600)
    expected = scipy.stats.t.interval(0.95, 599, scores.mean(), scipy.stats.sem(scores))
    assert t_interval(scores) == pytest.approx(expected, abs=1e-12)
    with_gaps = np.concatenate([scores, [np.nan, np.nan]])
    assert t_interval(with_gaps) == pytest.approx(expected, abs=1e-12)


def test_one_episode_has_no_interval_and_equal_scores_have_an_empty_one():
    assert t_interval(np.array([0.5])) is None
    assert t_interval(np.array([0.5, np.nan])) is None
    assert t_interval(np.array([0.25, 0.25, 0.25])) == (0.25, 0.25)
    assert not can_vary(np.array([[0.5, 0.6], [0.5, np.nan]]))
    assert intervals([np.array([[0.5, 0.6], [0.5, np.nan]]), None]) == [None, None]


def test_infinite_scores_are_not_usable():
    assert usable(np.array([0.5, np.nan]))
    assert not usable(np.array([0.5, np.inf]))
    assert not usable(np.array([0.5, -1e200]))


def test_draws_are_uniform_and_repeatable():
    first = draws((1, 0, 0), 60_000, 6)
    assert np.array_equal(first, draws((1, 0, 0), 60_000, 6))
    assert not np.array_equal(first, draws((1, 0, 1), 60_000, 6))
    assert scipy.stats.chisquare(np.bincount(first, minlength=6)).pvalue > 1e-4
    assert np.bincount(first).size == 6


def test_bootstrap_of_one_seed_has_the_known_standard_error(rng):
    scores = rng.normal(0.7, 0.1, 400)
    means = bootstrap_means(scores[None, None])[0]
    assert means.mean() == pytest.approx(scores.mean(), abs=5e-4)
    assert means.std() == pytest.approx(scores.std() / 20, rel=0.1)


def test_bootstrap_varies_seeds(rng):
    seeds = np.array([0.5, 0.7, 0.9])[:, None] + rng.normal(0, 1e-3, (3, 500))
    means = bootstrap_means(seeds[None])[0]
    assert means.std() == pytest.approx(np.std([0.5, 0.7, 0.9]) / np.sqrt(3), rel=0.1)
    low, high = percentile_interval(means)
    assert low < 0.6
    assert high > 0.8


def test_bootstrap_leaves_undefined_episodes_out(rng):
    scores = rng.normal(0.7, 0.1, (2, 300))
    gaps = scores.copy()
    gaps[:, ::2] = np.nan
    means = bootstrap_means(gaps[None])[0]
    assert np.isfinite(means).all()
    assert means.mean() == pytest.approx(np.nanmean(gaps), abs=2e-3)
    assert mean_over_seeds(gaps) == pytest.approx(np.nanmean(gaps, axis=1).mean())
    assert mean_over_seeds(np.array([[1.0], [np.nan]])) is None


def test_bootstrap_of_a_row_does_not_depend_on_the_rows_beside_it(rng):
    stack = rng.normal(size=(7, 3, 50))
    alone = np.concatenate([bootstrap_means(row[None]) for row in stack])
    assert bootstrap_means(stack) == pytest.approx(alone, abs=1e-12)
    assert bootstrap_means(stack[::-1])[::-1] == pytest.approx(alone, abs=1e-12)


def test_paired_tests_agree_with_scipy(rng):
    scores = rng.normal(0.5, 0.1, (6, 80)) + np.linspace(0, 0.05, 6)[:, None]
    scores[2, :10] = np.nan
    scores[4, 5:20] = np.nan
    difference, p = paired_tests(scores)
    for i in range(6):
        for j in range(6):
            if i == j:
                assert p[i, j] == 1
                continue
            oracle = scipy.stats.ttest_rel(scores[i], scores[j], nan_policy="omit")
            assert p[i, j] == pytest.approx(oracle.pvalue, rel=1e-9)
            assert difference[i, j] == pytest.approx(np.nanmean(scores[i] - scores[j]))


def test_constant_differences():
    base = np.linspace(0.1, 0.9, 40)
    scores = np.stack([base, base, base + 0.3 - 0.2])
    low, high = rank_intervals(scores, higher_is_better=True)
    assert low.tolist() == [2, 2, 1]
    assert high.tolist() == [3, 3, 1]
    low, high = rank_intervals(scores, higher_is_better=False)
    assert low.tolist() == [1, 1, 3]
    few, _ = rank_intervals(scores[1:, :4], higher_is_better=True)
    assert few.tolist() == [1, 1]
    _, p = paired_tests(scores[1:, :4])
    assert p[0, 1] == 2**-3


def test_holm_by_hand():
    # Holm (1979): 0.01*4, 0.013*3, 0.03*2 and 0.04*1, each at least the one before.
    p = np.array([0.04, 0.01, 0.03, 0.013])
    assert holm(p) == pytest.approx([0.06, 0.04, 0.06, 0.04])
    assert holm(np.array([0.5, 0.9])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).size == 0


def test_holm_guards_the_family(rng):
    false = sum(
        int(rank_intervals(rng.normal(size=(8, 60)), higher_is_better=True)[0].max() > 1)
        for _ in range(200)
    )
    assert false <= 22  # 10 expected; P(> 22) is below 1e-3


@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_to_compare(rows):
    low, high = rank_intervals(np.ones((rows, 5)), higher_is_better=True)
    assert low.tolist() == high.tolist() == [1] * rows


@given(
    arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(0, 12)), elements=SCORES),
    st.randoms(use_true_random=False),
)
def test_rank_intervals_are_sane_and_ignore_order(scores, random):
    low, high = rank_intervals(scores, higher_is_better=True)
    rows = len(scores)
    assert (low >= 1).all()
    assert (low <= high).all()
    assert (high <= rows).all()
    order = random.sample(range(rows), rows)
    other_low, other_high = rank_intervals(scores[order], higher_is_better=True)
    assert other_low.tolist() == low[order].tolist()
    assert other_high.tolist() == high[order].tolist()
    flipped_low, _ = rank_intervals(-scores, higher_is_better=False)
    assert flipped_low.tolist() == low.tolist()


@given(arrays(np.float64, st.integers(1, 12), elements=st.sampled_from([0.0, 0.5, 1.0])))
def test_average_ranks_agree_with_scipy(values):
    ours = average_ranks(values, higher_is_better=True)
    assert ours.tolist() == scipy.stats.rankdata(-values).tolist()
    ours = average_ranks(values, higher_is_better=False)
    assert ours.tolist() == scipy.stats.rankdata(values).tolist()


def test_a_hundred_rows_of_a_thousand_episodes_take_a_moment(rng):
    scores = rng.normal(size=(100, 1000))
    paired_tests(scores[:2])
    start = time.process_time()
    rank_intervals(scores, higher_is_better=True)
    assert time.process_time() - start < 2
