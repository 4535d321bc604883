"""Tie groups with several seeds: training varies as well."""

import time

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from metabench.leaderboard.moderation import moderate
from metabench.leaderboard.ranking import holm, paired_tests, rank_intervals

SCORES = st.sampled_from([0.0, 0.2, 0.25, 0.9, 1.0, float("nan")])
STACKS = arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 6)),
    elements=SCORES,
)


def null(rng, rows, seeds, training, episodes=100):
    """Rows that are all the same but for luck in episodes and in training."""
    shared = rng.normal(0, 0.1, (1, seeds, episodes))
    noise = rng.normal(0, 0.1, (rows, seeds, episodes))
    return shared + noise + training * rng.normal(size=(rows, seeds, 1))


def test_two_rows_are_compared_by_the_t_test_over_seeds(rng):
    scores = null(rng, 2, 6, training=0.1)
    _, p = paired_tests(scores)
    means = scores.mean(axis=2)
    assert p[0, 1] == pytest.approx(scipy.stats.ttest_rel(*means).pvalue)


def test_seeds_that_agree_by_luck_are_held_to_their_episodes(rng):
    scores = null(rng, 2, 3, training=0.0)
    scores[0] += scores[1].mean(axis=1, keepdims=True) - scores[0].mean(axis=1, keepdims=True)
    scores[0] += 0.01
    delta = scores[0] - scores[1]
    error = np.sqrt((delta.var(axis=1, ddof=1) / 100).mean() / 3)
    _, p = paired_tests(scores)
    assert p[0, 1] == pytest.approx(2 * scipy.stats.t.sf(0.01 / error, 2))


def test_one_seed_is_the_same_with_or_without_its_axis(rng):
    scores = null(rng, 5, 1, training=0)
    for ours, theirs in zip(paired_tests(scores), paired_tests(scores[:, 0]), strict=True):
        assert ours.tolist() == theirs.tolist()


def test_a_pair_without_a_shared_episode_in_some_seed_is_not_compared(rng):
    scores = null(rng, 2, 3, training=0) + np.array([0, 9])[:, None, None]
    scores[0, 1, :50] = np.nan
    scores[1, 1, 50:] = np.nan
    difference, p = paired_tests(scores)
    assert (difference[0, 1], p[0, 1]) == (0, 1)


def test_the_same_difference_everywhere_is_one_vote_per_seed():
    base = np.linspace(0.1, 0.9, 24).reshape(3, 8)
    _, p = paired_tests(np.stack([base, base + 0.5]))
    assert p[0, 1] == 2**-2


@pytest.mark.parametrize(("rows", "seeds"), [(3, 3), (12, 3), (12, 5)])
def test_training_that_varies_is_not_taken_for_a_difference(rng, rows, seeds):
    wrong, naive = 0, 0
    for _ in range(120):
        scores = null(rng, rows, seeds, training=0.05)
        wrong += int(rank_intervals(scores, higher_is_better=True)[0].max() > 1)
        pooled = scores.reshape(rows, -1)
        naive += int(rank_intervals(pooled, higher_is_better=True)[0].max() > 1)
    assert wrong <= 14  # 6 expected; P(> 14) is below 1e-3
    assert naive > 60  # what tests over pooled episodes would claim


def test_few_seeds_of_many_rows_tell_clear_differences(rng):
    levels = np.linspace(0.2, 0.9, 20)[:, None, None]
    low, high = rank_intervals(levels + null(rng, 20, 3, training=0.003), higher_is_better=True)
    assert (high - low).mean() < 2


def test_moderation_follows_smyth(rng):
    # The prior that the variances were drawn from is found again.
    true = 0.5 * 8 / rng.chisquare(8, 20_000)
    variance = true * rng.chisquare(2, 20_000) / 2
    moderated, degrees = moderate(variance, 2, limit=10**6)
    assert degrees[0] - 2 == pytest.approx(8, rel=0.1)
    lowest = moderated[np.argmin(variance)]
    assert lowest == pytest.approx((degrees[0] - 2) * 0.5 / degrees[0], rel=0.05)
    assert (moderated >= variance).all()


def test_equal_variances_are_pooled_up_to_the_limit():
    moderated, degrees = moderate(np.array([1.0, 1.0, 1.0]), 2, limit=4)
    assert degrees.tolist() == [4, 4, 4]
    assert (moderated >= 1).all()
    variance = np.array([0.3, 0.0])
    for limit in (2, 9):
        moderated, degrees = moderate(variance, 2, limit=limit)
        assert moderated.tolist() == variance.tolist()
        assert degrees.tolist() == [2, 2]


@settings(max_examples=100)
@given(STACKS, st.randoms(use_true_random=False))
def test_ranks_are_sane_and_ignore_the_order_of_rows_seeds_and_episodes(scores, random):
    low, high = rank_intervals(scores, higher_is_better=True)
    rows, seeds, episodes = scores.shape
    assert ((low >= 1) & (low <= high) & (high <= rows)).all()
    _, p = paired_tests(scores)
    assert np.isfinite(p).all()
    assert ((p >= 0) & (p <= 1)).all()
    order = [random.sample(range(size), size) for size in (rows, seeds, episodes)]
    other = rank_intervals(scores[np.ix_(*order)], higher_is_better=True)
    assert [side.tolist() for side in other] == [low[order[0]].tolist(), high[order[0]].tolist()]


@settings(max_examples=60)
@given(
    arrays(np.float64, st.tuples(st.integers(2, 5), st.integers(2, 12)), elements=SCORES),
    st.integers(0, 4),
)
def test_with_one_seed_added_rows_never_part_a_tie(scores, copied):
    low, high = rank_intervals(scores, higher_is_better=True)
    more = np.concatenate([scores, scores[[copied % len(scores)]], np.full_like(scores[:1], 0.5)])
    more_low, more_high = rank_intervals(more, higher_is_better=True)
    for i in range(len(scores)):
        for j in range(len(scores)):
            if low[i] <= low[j] <= high[i]:
                assert not more_high[i] < more_low[j]
                assert not more_high[j] < more_low[i]


@pytest.mark.parametrize("spread", [0.05, 0.3])
def test_with_one_seed_the_t_test_and_wilcoxon_agree(rng, spread):
    # 15 queries: accuracies are coarse and bounded, as in real episodes.
    levels = np.linspace(0.3, 0.9, 12)
    easy = rng.normal(0, spread, (1, 300))
    scores = rng.binomial(15, np.clip(levels[:, None] + easy, 0, 1)) / 15
    _, p = paired_tests(scores)
    upper = np.triu_indices(12, 1)
    oracle = [
        scipy.stats.wilcoxon(scores[i], scores[j]).pvalue for i, j in zip(*upper, strict=True)
    ]
    ours, theirs = holm(p[upper]) < 0.05, holm(np.array(oracle)) < 0.05
    assert (ours == theirs).mean() > 0.95


@pytest.mark.parametrize("seeds", [1, 3])
def test_fifty_rows_of_a_thousand_episodes_take_a_moment(rng, seeds):
    scores = rng.normal(size=(50, seeds, 1000))
    paired_tests(scores[:2])
    start = time.process_time()
    rank_intervals(scores, higher_is_better=True)
    assert time.process_time() - start < 0.7
