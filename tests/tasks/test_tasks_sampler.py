"""Episodes from classes: what they depend on, what they hold, and how they are distributed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from task_cases import binary_tasks, class_of, digest, pool_of, sampler_of, singles

from metabench.errors import InapplicableError
from metabench.tasks.sampling import Sampling, eligible_classes

EVEN = {"way": 5, "shot": 2, "query": 3}
UNEVEN = {"way": (3, 8), "shot": None, "query": None}
GROUPED = {"way": 3, "shot": 2, "query": 3, "group_disjoint": True}
SIZES = [12, 9, 30, 7, 15, 20, 8, 11, 6, 40]
GROUPS = np.arange(sum(SIZES)) % 6
MODES = {
    "even": (pool_of(SIZES), EVEN, None),
    "uneven": (pool_of(SIZES), UNEVEN, None),
    "way range": (pool_of(SIZES), {**EVEN, "way": (2, 6)}, None),
    "groups": (pool_of([30] * 6), GROUPED, np.arange(180) % 10),
    "uneven groups": (pool_of([40] * 8), {**UNEVEN, "group_disjoint": True}, np.arange(320) % 40),
    "tasks": (binary_tasks([(20, 10), (9, 9), (30, 4)]), {"shot": 8, "query": None}, None),
}
GOLDEN = {
    "even": "6132baf9b32dfc9febf370d0cd54102bfe91fcbbda9f77ae5cf1e6e020f2d84a",
    "uneven": "1502777c607aea0dbeafea98606a358082ed877ae1c8f8da5edfa6df28e72ea1",
    "way range": "fb31fa3773d3c7fbf4f05bd59f081dfc383f700b8676f50de2d4d7035e9989db",
    "groups": "36d48d4186dc424aaadaf325dc28c87a1e1a8ce3aa2b2a51840872d5b7802e4c",
    "uneven groups": "8380b4e48bc351f2559fff1a9692c380071b44aef969d427a229e864a334f79d",
    "tasks": "3f26e68c42349000fc17152518a28cc0fefdcc7697778834fc94004da1b3eadd",
}


def make(mode, **changes):
    pool, shape, groups = MODES[mode]
    return sampler_of(pool, groups=groups, **{**shape, **changes})


@pytest.mark.parametrize("mode", MODES)
def test_the_published_episodes_have_not_changed(mode):
    """If this fails, published numbers no longer compare: raise ENGINE_REVISION or undo it."""
    assert digest(make(mode)) == GOLDEN[mode]


@pytest.mark.parametrize("mode", MODES)
@given(start=st.integers(0, 400), count=st.integers(1, 9), size=st.integers(1, 12))
@settings(max_examples=20)
def test_an_episode_depends_on_its_number_only(mode, start, count, size):
    together = singles(make(mode), start, start + count, size)
    alone = [
        singles(make(mode), number, number + 1, 1)[0]
        for number in reversed(range(start, start + count))
    ]
    assert together == alone[::-1]


@pytest.mark.parametrize("mode", MODES)
def test_the_digest_does_not_depend_on_the_batch_size(mode):
    assert len({digest(make(mode), 40, size) for size in (1, 7, 40, 100)}) == 1


@pytest.mark.parametrize("mode", MODES)
def test_seed_source_split_and_shape_each_change_the_episodes(mode):
    pool, shape, groups = MODES[mode]
    variants = [
        sampler_of(pool, groups=groups, **shape),
        sampler_of(pool, groups=groups, seed=1, **shape),
        sampler_of(pool, groups=groups, digest="other", **shape),
        sampler_of(pool, groups=groups, split="val", **shape),
        sampler_of(pool, groups=groups, draws=11, **shape),
    ]
    assert len({digest(one) for one in variants}) == len(variants)


def test_far_away_episodes_do_not_overlap():
    """Episode i reads its own stretch of the counter: no episode repeats another's numbers."""
    for mode in ("even", "uneven", "groups"):
        numbers = [*range(100), 10**6, 10**9, 2**40]
        drawn = [str(singles(make(mode), n, n + 1)[0]) for n in numbers]
        assert len(set(drawn)) == len(drawn)


@given(
    sizes=st.lists(st.integers(1, 14), min_size=2, max_size=14),
    way=st.integers(1, 8),
    shot=st.integers(1, 5),
    query=st.integers(1, 5),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=150)
def test_even_episodes_have_the_promised_shape(sizes, way, shot, query, seed):
    pool = pool_of(sizes)
    eligible = [n for n, size in enumerate(sizes) if size >= shot + query]
    if len(eligible) < way:
        with pytest.raises(InapplicableError):
            sampler_of(pool, seed=seed, way=way, shot=shot, query=query)
        return
    owner = class_of(pool)
    sampler = sampler_of(pool, seed=seed, way=way, shot=shot, query=query)
    for drawn_way, support, labels, asked, asked_labels, origins in singles(sampler, 0, 8):
        assert drawn_way == way
        assert len(set(origins)) == way
        assert set(origins) <= set(eligible)
        assert len(set(support + asked)) == way * (shot + query)
        assert np.bincount(labels, minlength=way).tolist() == [shot] * way
        assert np.bincount(asked_labels, minlength=way).tolist() == [query] * way
        for item, label in zip(support + asked, labels + asked_labels, strict=True):
            assert owner[item] == origins[label]


@given(seed=st.integers(0, 2**31), data=st.data())
@settings(max_examples=60)
def test_uneven_episodes_keep_the_bounds_of_meta_dataset(seed, data):
    sizes = data.draw(st.lists(st.integers(1, 150), min_size=6, max_size=70))
    eligible = sum(size >= 2 for size in sizes)
    if eligible < 5:
        return
    pool = pool_of(sizes)
    owner = class_of(pool)
    sampler = sampler_of(pool, seed=seed, way=(5, 50), shot=None, query=None)
    for way, support, labels, asked, asked_labels, origins in singles(sampler, 0, 5):
        assert 5 <= way <= min(50, eligible)
        shots = np.bincount(labels, minlength=way)
        queries = np.bincount(asked_labels, minlength=way)
        assert shots.min() >= 1
        assert len(support) <= 500
        assert len(set(queries.tolist())) == 1
        assert 1 <= queries[0] <= 10
        assert len(set(support + asked)) == len(support) + len(asked)
        assert len(set(origins)) == way
        assert [owner[i] for i in support] == [origins[label] for label in labels]
        assert [owner[i] for i in asked] == [origins[label] for label in asked_labels]


def test_uneven_ways_cover_the_whole_range_and_shots_differ():
    sampler = sampler_of(pool_of([60] * 20), way=(5, 50), shot=None, query=None)
    episodes = singles(sampler, 0, 400)
    assert {way for way, *_ in episodes} == set(range(5, 21))
    uneven = [len(set(np.bincount(labels).tolist())) > 1 for _, _, labels, *_ in episodes]
    assert np.mean(uneven) > 0.8


def test_a_range_of_ways_with_fixed_shots_is_a_range():
    sampler = sampler_of(pool_of([10] * 9), way=(2, 6), shot=1, query=2)
    assert {way for way, *_ in singles(sampler, 0, 200)} == {2, 3, 4, 5, 6}


@pytest.mark.parametrize("mode", ["even", "uneven", "groups"])
def test_labels_do_not_correlate_with_class_ids_and_order_tells_nothing(mode):
    label, origin, support_place, support_label, query_place, query_label = ([] for _ in range(6))
    for _, _, labels, _, asked_labels, origins in singles(make(mode), 0, 3000, 100):
        label += range(len(origins))
        origin += origins
        support_place += range(len(labels))
        support_label += labels
        query_place += range(len(asked_labels))
        query_label += asked_labels
    # 0.04 is four standard errors of the smallest sample (9,000) and 20 times below the 0.80 seen
    assert abs(np.corrcoef(label, origin)[0, 1]) < 0.04
    if mode != "uneven":  # there a long query comes with a large way, and so with large labels
        assert abs(np.corrcoef(support_place, support_label)[0, 1]) < 0.04
        assert abs(np.corrcoef(query_place, query_label)[0, 1]) < 0.04


def test_queries_and_supports_are_shuffled_independently():
    pairs = [(labels, asked) for _, _, labels, _, asked, _ in singles(make("even"), 0, 200)]
    assert sum(asked == sorted(asked) for _, asked in pairs) == 0
    assert sum(labels == sorted(labels) for labels, _ in pairs) < 5
    assert len({tuple(asked) for _, asked in pairs}) > 190


@pytest.mark.parametrize("mode", ["even", "groups"])
def test_classes_and_items_are_drawn_uniformly(mode):
    pool, _, _ = MODES[mode]
    classes = np.zeros(len(pool.sizes))
    support, query = np.zeros(len(pool.items)), np.zeros(len(pool.items))
    for _, s, _, q, _, origins in singles(make(mode), 0, 6000, 200):
        np.add.at(classes, origins, 1)
        np.add.at(support, s, 1)
        np.add.at(query, q, 1)
    assert stats.chisquare(classes).pvalue > 1e-3
    for counts in (support, query):
        for members in pool.members:
            assert stats.chisquare(counts[members]).pvalue > 1e-5  # 10 classes, 2 sides


def test_ordered_picks_are_uniform_over_permutations():
    seen = {}
    for _, support, labels, *_ in singles(
        sampler_of(pool_of([2, 2, 2]), way=3, shot=1, query=1), 0, 6000, 500
    ):
        key = tuple(np.array(support)[np.argsort(labels)].tolist())
        seen[key] = seen.get(key, 0) + 1
    assert len(seen) == 6 * 8  # orders of the classes times the choice within each
    assert stats.chisquare(list(seen.values())).pvalue > 1e-3


@given(
    seed=st.integers(0, 2**31),
    groups=st.integers(4, 12),
    loners=st.floats(0, 0.5),
    shape=st.sampled_from([GROUPED, {**UNEVEN, "way": (2, 4), "group_disjoint": True}]),
)
@settings(max_examples=60)
def test_no_group_is_on_both_sides(seed, groups, loners, shape):
    rng = np.random.default_rng(seed)
    pool = pool_of([40] * 5)
    group = np.where(rng.random(200) < loners, -1, rng.integers(0, groups, 200))
    for _, support, labels, asked, asked_labels, origins in singles(
        sampler_of(pool, seed=seed, groups=group, **shape), 0, 4
    ):
        left = {group[i] for i in support} - {-1}
        right = {group[i] for i in asked} - {-1}
        assert not left & right
        assert not set(support) & set(asked)
        owner = class_of(pool)
        assert [owner[i] for i in support] == [origins[label] for label in labels]
        assert [owner[i] for i in asked] == [origins[label] for label in asked_labels]


def test_examples_without_a_group_each_stand_alone():
    pool = pool_of([6] * 3)
    sampler = sampler_of(pool, groups=np.full(18, -1), **{**GROUPED, "query": 4})
    assert len(singles(sampler, 0, 50)) == 50  # one group of -1 would make it infeasible


def test_group_disjoint_episodes_of_one_shape_are_batched():
    (batch,) = make("groups").batches(0, 10, 10)
    assert len(batch) == 10


def test_infeasible_groups_are_inapplicable_with_the_numbers():
    pool = pool_of([10] * 4)
    sampler = sampler_of(pool, groups=np.zeros(40, np.int64), **GROUPED)
    with pytest.raises(InapplicableError, match=r"3-way 2-shot 3-query .* test split .* 64"):
        list(sampler.batches(0, 1, 1))
    uneven = {**UNEVEN, "group_disjoint": True}
    with pytest.raises(InapplicableError, match="3-way uneven"):
        list(sampler_of(pool, groups=np.zeros(40, np.int64), **uneven).batches(0, 1, 1))


def test_group_disjoint_without_groups_is_inapplicable():
    with pytest.raises(InapplicableError, match="the source has none"):
        sampler_of(pool_of([10] * 4), **GROUPED)


@pytest.mark.parametrize(
    ("sizes", "shape", "words"),
    [
        ([20] * 4, EVEN, ["5-way", "5 classes", "test split has 4"]),
        (
            [20, 20, 20, 3, 4, 4],
            EVEN,
            ["5 examples (2 shot + 3 query)", "has 3", "20"],
        ),
        ([3] * 9, {"way": 5, "shot": 20, "query": 15}, ["35 examples", "has 0", "largest class 3"]),
        ([1] * 9, UNEVEN, ["3 classes of 2 examples", "has 0"]),
        ([], EVEN, ["test split has 0"]),
        ([9] * 9, {"way": 5, "shot": 1, "query": None}, ["queries per class", "None"]),
    ],
)
def test_what_cannot_be_filled_is_inapplicable_with_the_numbers(sizes, shape, words):
    for attempt in (
        lambda: sampler_of(pool_of(sizes), **shape),
        lambda: eligible_classes("test", sizes, Sampling(**shape)),
    ):
        with pytest.raises(InapplicableError) as caught:
            attempt()
        assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_number_of_test_episodes_from_classes_is_the_requested_one():
    assert make("even").test_episodes(123) == 123
