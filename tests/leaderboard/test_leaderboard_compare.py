import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from metabench.errors import MetabenchError, UsageError
from metabench.leaderboard.compare import compare
from metabench.leaderboard.estimate import estimate, estimate_sources
from metabench.leaderboard.verdict import in_words

NONE = {"encoder": "none", "encoder_policy": "none"}


def two(make, first, second, **cell):
    return [
        make(first, algorithm="a", key=f"a{cell}", **cell),
        make(second, algorithm="b", key=f"b{cell}", **cell),
    ]


def test_one_seed_agrees_with_scipy(make, rng):
    first, second = rng.uniform(size=(2, 60))
    found = compare(two(make, first, second), "a", "b")
    (block,) = found.blocks
    one = block.estimate
    oracle = scipy.stats.ttest_rel(first, second)
    assert one.p == pytest.approx(oracle.pvalue)
    assert (one.ci95_low, one.ci95_high) == pytest.approx(tuple(oracle.confidence_interval()))
    expected = scipy.stats.wilcoxon(first, second, method="asymptotic", correction=False)
    assert one.p_wilcoxon == pytest.approx(expected.pvalue)
    assert one.effect == pytest.approx(oracle.statistic / np.sqrt(60))
    assert one.win_share == pytest.approx((first > second).mean())
    assert (one.unit, one.seeds, one.units) == ("episodes", 1, 60)
    assert (block.mean_first, block.mean_second) == pytest.approx((first.mean(), second.mean()))
    (source,) = found.sources
    assert source.estimate.difference == pytest.approx(one.difference / 0.8)
    assert source.estimate.p == pytest.approx(one.p)
    assert found.overall is None


def test_several_seeds_vary_over_seeds(make, rng):
    deltas = np.array([0.05, 0.02, 0.09, 0.04])
    scored = []
    for seed, delta in enumerate(deltas):
        base = rng.uniform(0.4, 0.6, 200)
        noise = rng.normal(0, 0.02, 200)
        scored += two(make, base + delta + noise - noise.mean(), base, seed=seed)
    (block,) = compare(scored, "a", "b").blocks
    oracle = scipy.stats.ttest_1samp(deltas, 0)
    assert block.estimate.p == pytest.approx(oracle.pvalue)
    assert block.estimate.ci95_low == pytest.approx(oracle.confidence_interval().low)
    assert (block.estimate.unit, block.estimate.wilcoxon_unit) == ("seeds", "episodes")
    assert (block.estimate.seeds, block.estimate.units) == (4, 800)


def test_only_shared_seeds_count(make, rng):
    scores = rng.uniform(size=(3, 40))
    scored = [make(scores[seed], algorithm="a", seed=seed, key=f"a{seed}") for seed in range(3)]
    scored.append(make(scores[1] - 0.3, algorithm="b", seed=1))
    (block,) = compare(scored, "a", "b").blocks
    assert (block.estimate.seeds, block.estimate.units) == (1, 40)
    assert block.estimate.difference == pytest.approx(0.3)


def test_lower_is_better_is_turned(make, rng):
    base = rng.uniform(size=40)
    scale = {"metric": "rmse", "chance": 1.0, "best": 0.0, "task_kind": "regression"}
    found = compare(two(make, base, base + rng.uniform(size=40), **scale), "a", "b")
    assert found.blocks[0].estimate.difference > 0
    assert found.sources[0].estimate.difference > 0
    assert in_words(found.blocks[0].estimate, "a", "b").startswith("a is better than b")


def test_protocols_and_encoders_of_a_source_are_brought_together(make, rng):
    scored = []
    for shot in ("1", "5"):
        for encoder in ("conv4", "pixels"):
            first, second = rng.uniform(size=(2, 30))
            place = {"protocol": f"p{shot}", "protocol_digest": shot * 64, "encoder": encoder}
            scored += two(make, first, second, **place)
    found = compare(scored, "a", "b")
    assert len(found.blocks) == 4
    (source,) = found.sources
    # Two encoders met the same 30 episodes of each protocol.
    assert source.estimate.units == 60
    expected = np.mean([block.estimate.difference for block in found.blocks]) / 0.8
    assert source.estimate.difference == pytest.approx(expected)


def test_overall_is_over_sources(make, rng):
    scored, deltas = [], [0.1, 0.2, 0.05, 0.12, 0.3]
    for i, delta in enumerate(deltas):
        scored += two(make, np.full(9, 0.3 + delta), np.full(9, 0.3), source=f"s{i}")
    overall = compare(scored, "a", "b").overall
    scaled = np.array(deltas) / 0.8
    oracle = scipy.stats.ttest_1samp(scaled, 0)
    assert overall.p == pytest.approx(oracle.pvalue)
    assert overall.ci95_high == pytest.approx(oracle.confidence_interval().high)
    assert overall.p_wilcoxon == pytest.approx(2**-4)
    assert overall.effect == pytest.approx(scaled.mean() / scaled.std(ddof=1))
    assert (overall.unit, overall.units) == ("sources", 5)


def test_a_reference_is_compared_beside_every_encoder(make, rng):
    scored = [make(np.full(20, 0.2), algorithm="chance", **NONE)]
    scored += [make(rng.uniform(size=20), algorithm="a", encoder=e) for e in ("conv4", "pixels")]
    found = compare(scored, "a", "chance")
    assert [block.encoder for block in found.blocks] == ["conv4", "pixels"]
    (only,) = compare(scored, "chance", "a", encoders=["pixels"]).blocks
    assert only.encoder == "pixels"


def test_it_says_who_sees_all_queries(make, rng):
    first, second = rng.uniform(size=(2, 20))
    scored = [make(first, algorithm="a"), make(second, algorithm="b", inductive=False)]
    assert any("b is transductive" in message for message in compare(scored, "a", "b").messages)


def test_a_cell_that_cannot_be_compared_is_told(make, rng):
    scored = two(make, rng.uniform(size=20), rng.uniform(size=20))
    scored += [
        make(rng.uniform(size=20), algorithm="a", source="s2"),
        make(algorithm="b", source="s2", status="timeout", reason="60 s"),
    ]
    found = compare(scored, "a", "b")
    assert found.messages == ("s2 / quick-5w1s, seed 0: b is timeout (60 s)",)


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({"source": "s"}, {"source": "t"}, "a has the sources s; b has the sources t"),
        ({"seed": 1}, {"seed": 2}, "a has the seeds 1; b has the seeds 2"),
        ({"encoder": "x"}, {"encoder": "y"}, "a has the encoders x; b has the encoders y"),
        ({"digest": "1" * 64}, {"digest": "2" * 64}, "other test episodes (digest 11111111 or 222"),
        ({"digest": ""}, {"digest": ""}, "other test episodes (digest none or none)"),
        ({"metric": "auroc"}, {}, "other metrics (auroc or accuracy)"),
        ({"best": 2.0}, {}, "another scale"),
        (
            {"protocol_digest": "1" * 64, "protocol_settings": {"shot": 1}},
            {"protocol_digest": "2" * 64, "protocol_settings": {"shot": 5}},
            "on glyphs their protocols differ (shot: 1 or 5)",
        ),
    ],
)
def test_nothing_in_common_says_what_differs(make, one, other, said):
    scored = [make([0.5, 0.6], algorithm="a", **one), make([0.5, 0.7], algorithm="b", **other)]
    with pytest.raises(MetabenchError) as caught:
        compare(scored, "a", "b")
    assert str(caught.value).startswith("a and b have no test episodes in common")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_lengths_and_failures_are_in_the_way(make):
    scored = [make([0.5] * 3, algorithm="a"), make([0.5] * 4, algorithm="b")]
    with pytest.raises(MetabenchError, match="3 or 4 scores on the same episodes"):
        compare(scored, "a", "b")
    scored[1] = make(algorithm="b", status="inapplicable", reason="no")
    with pytest.raises(MetabenchError, match=r"b is inapplicable \(no\)"):
        compare(scored, "a", "b")


def test_names_are_checked(make):
    scored = two(make, [0.5, 0.6], [0.5, 0.7])
    with pytest.raises(UsageError, match="two different algorithms, and both are 'a'"):
        compare(scored, "a", "a")
    with pytest.raises(MetabenchError, match="no records of c"):
        compare(scored, "a", "c")
    with pytest.raises(UsageError, match="unknown source 'glyph'; did you mean glyphs"):
        compare(scored, "a", "b", sources=["glyph"])
    with pytest.raises(UsageError, match="unknown encoder 'conv'; did you mean conv4"):
        compare(scored, "a", "b", encoders=["conv"])


def sides(rng, delta, *, seeds=1, episodes=100, training=0.0, noise=0.1):
    second = rng.uniform(0.4, 0.6, (seeds, episodes))
    change = rng.normal(0, noise, (seeds, episodes))
    change += delta - change.mean() + training * np.linspace(-1, 1, seeds)[:, None]
    return second + change, second


def test_words_for_what_is_settled(rng):
    assert in_words(estimate(sides(rng, -0.2)), "a", "b") == "b is better than a"
    assert in_words(estimate(sides(rng, 0.0, noise=0.0)), "a", "b").startswith("no difference")
    skewed = np.zeros((1, 400))
    skewed[0, ::10] = 5.0
    skewed[0, 1::10] = skewed[0, 2::10] = skewed[0, 3::10] = -0.01
    assert "signed-rank test disagrees" in in_words(
        estimate((skewed, np.zeros((1, 400)))), "a", "b"
    )


def test_words_for_more_episodes(rng):
    words = in_words(estimate(sides(rng, 0.01)), "a", "b")
    assert "not settled: a is ahead" in words
    assert "about 750 episodes (now 100) would settle it" in words


def test_words_for_seeds_that_vary(rng):
    words = in_words(estimate(sides(rng, 0.02, seeds=3, training=0.1)), "a", "b")
    assert "seeds (now 3) would settle it, a rough guess from so few" in words
    assert "no number of episodes per seed would settle it" in words


def test_words_for_seeds_that_agree(rng):
    one = estimate(sides(rng, 0.004, seeds=6, noise=0.2, episodes=50))
    assert one.more_seeds > 6
    assert one.more_episodes > 50
    assert "rough" not in in_words(one, "a", "b")


def test_words_for_too_little(rng):
    one = estimate((np.array([[0.7]]), np.array([[0.2]])))
    assert in_words(one, "a", "b") == "too little to test: two episodes at least are needed"
    assert (one.ci95_low, one.p, one.more_episodes) == (None, 1, None)


def test_words_for_sources():
    words = in_words(estimate_sources([0.1, -0.05, 0.02]), "a", "b")
    assert "sources like these (now 3) would settle it" in words


SIDE = arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(1, 8)),
    elements=st.sampled_from([0.0, 0.2, 0.5, 1.0, np.nan]),
)


@settings(max_examples=150)
@given(SIDE, st.integers(0, 2**32 - 1))
def test_estimates_are_finite_and_antisymmetric(first, seed):
    second = np.random.default_rng(seed).permuted(first, axis=1)
    one, back = estimate((first, second)), estimate((second, first))
    assert one.difference == pytest.approx(-back.difference)
    assert (one.p, one.p_wilcoxon) == pytest.approx((back.p, back.p_wilcoxon))
    assert one.win_share == pytest.approx(1 - back.win_share)
    assert (one.more_episodes, one.more_seeds) == (back.more_episodes, back.more_seeds)
    numbers = [one.difference, one.p, one.p_wilcoxon, one.win_share]
    for value in (*numbers, one.effect, one.ci95_low, one.detectable):
        assert value is None or np.isfinite(value)
    assert in_words(one, "a", "b")


@settings(max_examples=30)
@given(st.randoms(use_true_random=False), st.integers(1, 2))
def test_order_and_duplicates_do_not_matter(make, random, repeat):
    generator = np.random.default_rng(3)
    scored = []
    for source in ("s", "t"):
        for seed in (0, 1):
            scored += two(make, *generator.uniform(size=(2, 8)), source=source, seed=seed)
    expected = compare(scored, "a", "b")
    shuffled = scored * repeat
    random.shuffle(shuffled)
    assert compare([*shuffled, make([0.5] * 8, algorithm="c")], "a", "b") == expected
