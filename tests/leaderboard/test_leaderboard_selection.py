"""Choosing one of many, and what luck the choice has."""

import numpy as np
import pytest

from metabench.leaderboard import selection
from metabench.leaderboard.selection import choose, optimism
from metabench.leaderboard.statistics import t_interval

EPISODES = 120
ROUNDS = 120


@pytest.fixture
def _few_halves(monkeypatch):
    """The mean over fewer splits is noisier and no other; the simulations have many rounds."""
    monkeypatch.setattr(selection, "HALVES", 6)


def scores_of(rng, truths, episodes=EPISODES):
    """Learners that share the difficulty of each episode: ``[learners, 1, episodes]``."""
    shared = rng.normal(size=episodes)
    own = rng.normal(size=(len(truths), episodes))
    return (np.asarray(truths)[:, None] + 0.7 * shared + 0.7 * own)[:, None]


def test_the_best_mean_leads_and_the_cheapest_near_it_is_picked():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(1, 200))
    noise = rng.normal(0, 0.1, size=(4, 1, 200))
    noise -= noise.mean(axis=2, keepdims=True)
    scores = base + noise + np.array([0.5, 0.499, 0.3, 0.4995])[:, None, None]
    found = choose(scores, np.array([9.0, 5.0, 0.1, 7.0]))
    assert found == selection.Choice(leader=0, pick=1)
    assert choose(scores, np.array([9.0, 9.0, 9.0, 9.0])).pick == 0
    assert choose(scores, np.array([9.0, np.inf, 0.0, 7.0])).pick == 3


def test_learners_that_are_equal_are_told_apart_by_cost_and_then_by_order():
    scores = np.repeat(np.random.default_rng(0).normal(size=(1, 1, 30)), 3, axis=0)
    assert choose(scores, np.array([2.0, 1.0, 1.0])).pick == 1
    assert choose(scores, np.array([1.0, 1.0, 1.0])).pick == 0


def test_a_learner_without_scores_is_no_choice():
    scores = scores_of(np.random.default_rng(0), [0.0, 0.1, 0.2])
    scores[1] = np.nan
    assert choose(scores, np.array([1.0, 0.0, 1.0])).pick != 1


def test_a_lone_learner_had_no_luck_and_few_episodes_tell_nothing():
    rng = np.random.default_rng(0)
    assert optimism(scores_of(rng, [0.0]), np.zeros(1), by_seed=False) == 0.0
    assert optimism(scores_of(rng, [0.0, 0.1], episodes=3), np.zeros(2), by_seed=False) is None


def test_the_optimism_is_the_same_every_time_and_nearly_nothing_where_one_is_far_better():
    rng = np.random.default_rng(1)
    scores, costs = scores_of(rng, [0.0] * 9 + [3.0]), np.zeros(10)
    first = optimism(scores, costs, by_seed=False)
    assert first == optimism(scores, costs, by_seed=False)
    assert first < 0.03


@pytest.mark.usefixtures("_few_halves")
@pytest.mark.parametrize(
    "truths",
    [np.zeros(20), np.linspace(-0.3, 0.0, 20), np.r_[np.zeros(9), 1.0]],
    ids=["equal", "stairs", "winner"],
)
def test_intervals_moved_by_the_optimism_cover_the_truth_of_the_pick(truths):
    rng = np.random.default_rng(7)
    covered, raw, excess = 0, 0, []
    for _ in range(ROUNDS):
        scores = scores_of(rng, truths)
        costs = rng.permutation(len(truths)).astype(float)
        pick = choose(scores, costs).pick
        low, high = t_interval(scores[pick, 0])
        shift = optimism(scores, costs, by_seed=False)
        covered += low - shift <= truths[pick] <= high - shift
        raw += low <= truths[pick] <= high
        excess.append(scores[pick].mean() - shift - truths[pick])
    assert 0.91 <= covered / ROUNDS <= 1.0
    assert covered >= raw
    error = np.std(excess) / np.sqrt(ROUNDS)
    assert abs(np.mean(excess)) < 4 * error + 0.01


@pytest.mark.usefixtures("_few_halves")
def test_among_equals_the_uncorrected_interval_covers_too_little():
    """What the correction is for: the plain best mean of twenty equal learners."""
    rng = np.random.default_rng(3)
    covered = corrected = 0
    for _ in range(ROUNDS):
        scores = rng.normal(size=(20, 1, EPISODES))
        # Costs that rise with the mean make the rule take the very best.
        costs = -scores.mean(axis=(1, 2))
        pick = int(scores.mean(axis=(1, 2)).argmax())
        low, high = t_interval(scores[pick, 0])
        shift = optimism(scores, costs - costs.min(), by_seed=False)
        covered += low <= 0 <= high
        corrected += low - shift <= 0 <= high - shift
    assert covered / ROUNDS < 0.85
    assert corrected / ROUNDS > covered / ROUNDS


@pytest.mark.usefixtures("_few_halves")
def test_seeds_are_halved_where_training_varies():
    """Luck in training is the same in all episodes of a seed: only other seeds show it."""
    rng = np.random.default_rng(5)
    by_seed, by_episode = [], []
    for _ in range(20):
        luck = rng.normal(0, 0.5, size=(12, 4, 1))
        scores = luck + rng.normal(0, 0.5, size=(12, 4, 60))
        costs = np.zeros(12)
        by_seed.append(optimism(scores, costs, by_seed=True))
        by_episode.append(optimism(scores, costs, by_seed=False))
    assert np.mean(by_seed) > 3 * np.mean(by_episode)


def test_undefined_episodes_are_left_out():
    rng = np.random.default_rng(2)
    scores = scores_of(rng, [0.0, 0.2, 0.1])
    scores[:, :, ::7] = np.nan
    assert np.isfinite(optimism(scores, np.zeros(3), by_seed=False))
