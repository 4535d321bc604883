import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metabench.leaderboard.power import detectable, episodes_needed, power, units_needed


@pytest.mark.parametrize("effect", [3.0, 1.0, 0.5, 0.2, 0.05, 0.001])
def test_units_agree_with_statsmodels(effect):
    oracle = pytest.importorskip("statsmodels.stats.power")
    expected = oracle.TTestPower().solve_power(effect, alpha=0.05, power=0.8)
    assert units_needed(effect) == pytest.approx(np.ceil(expected), rel=1e-5)
    assert units_needed(-effect) == units_needed(effect)


def test_power_is_what_simulation_gives(rng):
    draws = rng.normal(0.5, 1, (20_000, 12))
    t = draws.mean(axis=1) / draws.std(axis=1, ddof=1) * np.sqrt(12)
    assert power(0.5 * np.sqrt(12), 11) == pytest.approx((np.abs(t) > 2.201).mean(), abs=0.01)


def test_what_no_number_settles():
    assert units_needed(0) is None
    assert units_needed(1e-9) is None
    # Three seeds that differ as much as the algorithms do: episodes cannot help.
    assert episodes_needed(0.01, seed=1e-4, episode=0.01, seeds=3) is None


def test_episodes_alone_settle_what_training_does_not_blur():
    number = episodes_needed(0.02, seed=0.0, episode=0.04, seeds=3)
    error = np.sqrt(0.04 / number / 3)
    assert power(0.02 / error, 2) >= 0.8
    assert power(0.02 / np.sqrt(0.04 / (number - 1) / 3), 2) < 0.8


def test_detectable_difference_is_found_four_times_of_five():
    assert power(detectable(0.01, 20) / 0.01, 20) == pytest.approx(0.8, abs=1e-3)
    assert detectable(0.0, 20) == 0


@given(st.floats(0, 80), st.floats(0, 80), st.sampled_from([1, 2, 3, 4, 9, 50, 600, 10**6]))
def test_power_grows_and_is_a_probability(one, other, degrees):
    low, high = (power(shift, degrees) for shift in sorted((one, other)))
    assert 0.049 < low <= high + 1e-6 <= 1 + 2e-6
