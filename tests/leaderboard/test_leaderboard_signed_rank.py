import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from metabench.leaderboard.signed_rank import wilcoxon


@pytest.mark.parametrize("pairs", [1, 5, 9, 25, 50, 51, 600])
def test_without_ties_it_agrees_with_scipy(rng, pairs):
    differences = rng.normal(0.2, 1, pairs)
    method = "exact" if pairs <= 50 else "asymptotic"
    oracle = scipy.stats.wilcoxon(differences, method=method).pvalue
    assert wilcoxon(differences) == pytest.approx(oracle, rel=1e-9)


def test_with_ties_it_is_the_exact_test_of_signs(rng):
    differences = np.array([0.1, 0.2, 0.2, -0.1, 0.3, 0.0, 0.3, 0.1 + 1e-17, np.nan])
    known = np.array([0.1, 0.2, 0.2, -0.1, 0.3, 0.3, 0.1])
    exact = scipy.stats.PermutationMethod(n_resamples=np.inf)
    oracle = scipy.stats.wilcoxon(known, method=exact).pvalue
    assert wilcoxon(differences) == pytest.approx(oracle)


def test_many_ties_agree_with_scipy(rng):
    differences = rng.integers(-4, 6, 200) / 15
    oracle = scipy.stats.wilcoxon(differences, method="asymptotic", correction=False).pvalue
    assert wilcoxon(differences) == pytest.approx(oracle, rel=1e-6)


def test_scikit_posthocs_agrees_on_all_pairs(rng):
    posthocs = pytest.importorskip("scikit_posthocs")
    scores = rng.normal(size=(4, 12)) + np.arange(4)[:, None] / 3
    table = posthocs.posthoc_wilcoxon(list(scores), p_adjust=None).to_numpy()
    for i in range(4):
        for j in range(i):
            assert wilcoxon(scores[i] - scores[j]) == pytest.approx(table[i, j])


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [np.nan], [np.nan, 0.0]])
def test_nothing_that_differs(values):
    assert wilcoxon(np.array(values)) == 1


@given(
    arrays(np.float64, st.integers(0, 70), elements=st.sampled_from([-1, -0.5, 0, 0.5, 1, np.nan])),
    st.randoms(use_true_random=False),
    st.sampled_from([1.0, -1.0, 0.3, 1e-9, 1e9]),
)
def test_sign_scale_and_order_do_not_matter(differences, random, scale):
    p = wilcoxon(differences)
    assert 0 <= p <= 1
    order = random.sample(range(differences.size), differences.size)
    assert wilcoxon(scale * differences[order]) == pytest.approx(p)
