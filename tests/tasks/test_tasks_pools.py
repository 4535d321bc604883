"""Episodes from fixed tasks: supports, draws and targets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from task_cases import binary_tasks, sampler_of, singles

from metabench.errors import InapplicableError
from metabench.tasks.data import Task, TaskPool


def regression_pool():
    rng = np.random.default_rng(0)
    tasks = [
        Task(f"r{n}", np.arange(30 * n, 30 * n + 30), rng.normal(size=30).astype(np.float32))
        for n in range(3)
    ]
    return TaskPool(tuple(tasks))


@given(
    counts=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=5),
    size=st.integers(2, 24),
    rule=st.sampled_from(["stratified", "balanced", "random"]),
    query=st.sampled_from([None, 1, 5]),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=150)
def test_the_support_has_its_size_and_follows_its_rule(counts, size, rule, query, seed):
    pool = binary_tasks(counts)
    if all(sum(count) <= size for count in counts):
        with pytest.raises(InapplicableError, match=rf"support of {size} .*largest task"):
            sampler_of(pool, shot=size, support=rule, query=query)
        return
    sampler = sampler_of(pool, seed=seed, shot=size, support=rule, query=query, draws=2)
    for _, support, labels, asked, asked_labels, (number,) in singles(
        sampler, 0, sampler.test_episodes(999)
    ):
        task = pool.tasks[number]
        truth = dict(zip(task.items.tolist(), task.targets.tolist(), strict=True))
        assert [truth[i] for i in support] == labels
        assert [truth[i] for i in asked] == asked_labels
        assert len(set(support)) == len(support) == size
        assert not set(support) & set(asked)
        rest = len(task.items) - size
        assert len(asked) == (rest if query is None else min(query, rest))
        positives, negatives = sum(labels), size - sum(labels)
        if rule != "random":
            assert min(positives, negatives) >= 1
        if rule == "stratified":
            share = size * counts[number][1] / sum(counts[number])
            assert abs(positives - share) < 1 or min(positives, negatives) == 1
        if rule == "balanced":
            smaller = min(counts[number])
            assert abs(positives - negatives) <= 1 or min(positives, negatives) == smaller


def test_random_support_looks_at_no_target():
    pool = binary_tasks([(40, 40)])
    positives = [
        sum(labels)
        for _, _, labels, *_ in singles(
            sampler_of(pool, shot=8, query=None, support="random", draws=500), 0, 500
        )
    ]
    assert np.mean(positives) == pytest.approx(4, abs=0.25)
    assert min(positives) <= 1


def test_every_task_is_drawn_equally_often_and_all_come_before_one_comes_again():
    pool = binary_tasks([(10, 10), (2, 1), (15, 10), (10, 30)])
    sampler = sampler_of(pool, shot=8, query=None, draws=4)
    assert sampler.test_episodes(1000) == 12
    numbers = [origins[0] for *_, origins in singles(sampler, 0, 12)]
    assert numbers == [0, 2, 3] * 4  # the second task is too small; numbers are the pool's
    supports = {tuple(sorted(support)) for _, support, *_ in singles(sampler, 0, 12)}
    assert len(supports) == 12
    assert singles(sampler, 12, 14) != singles(sampler, 0, 2)


def test_train_tasks_are_drawn_at_random():
    pool = binary_tasks([(20, 20)] * 4)
    sampler = sampler_of(pool, shot=4, query=4, split="train")
    numbers = [origins[0] for *_, origins in singles(sampler, 0, 2000, 100)]
    assert np.bincount(numbers, minlength=4).min() > 430


def test_a_fixed_support_is_kept_drawn_once_and_shuffled():
    items = np.arange(100, 140)
    targets = np.tile(np.arange(10), 4)
    support = np.arange(10)
    pool = TaskPool(
        (
            Task("given", items, targets, support=support, query=np.arange(10, 20)),
            Task("rest", items + 40, targets, support=support),
            Task("drawn", items + 80, targets),
        )
    )
    sampler = sampler_of(pool, shot=10, query=7, draws=3)
    assert sampler.test_episodes(0) == 5
    given, rest, *drawn = singles(sampler, 0, 5)
    assert [e[-1][0] for e in drawn] == [2, 2, 2]
    assert sorted(given[1]) == list(range(100, 110))
    assert sorted(given[3]) == list(range(110, 120))
    assert sorted(rest[1]) == list(range(140, 150))
    assert sorted(rest[3]) == list(range(150, 180))
    for _, inside, labels, asked, asked_labels, (number,) in (given, rest):
        assert labels == [targets[i - 100 - 40 * number] for i in inside]
        assert asked_labels == [targets[i - 100 - 40 * number] for i in asked]
        assert inside != sorted(inside)  # upstream's order is class order
        assert asked != sorted(asked)


def test_regression_targets_travel_with_their_items():
    pool = regression_pool()
    sampler = sampler_of(pool, shot=5, query=10, draws=2)
    for batch in sampler.batches(0, 6, 6):
        assert batch.way == 1
        assert batch.support_targets.dtype == np.float32
        for row in range(len(batch)):
            task = pool.tasks[batch.origins[row, 0]]
            start = task.items[0]
            np.testing.assert_array_equal(
                batch.support_targets[row], task.targets[batch.support[row] - start]
            )
            np.testing.assert_array_equal(
                batch.query_targets[row], task.targets[batch.query[row] - start]
            )


def test_a_support_smaller_than_the_classes_is_inapplicable_unless_random():
    task = Task("t", np.arange(30), np.repeat(np.arange(3), 10))
    for rule in ("stratified", "balanced"):
        with pytest.raises(InapplicableError, match=r"support of 2 .* fewest classes 3"):
            sampler_of(TaskPool((task,)), shot=2, support=rule)
    assert sampler_of(TaskPool((task,)), shot=2, support="random").test_episodes(0) == 10


def test_no_task_at_all_is_inapplicable():
    with pytest.raises(InapplicableError, match="largest task 0"):
        sampler_of(TaskPool(()), shot=2)


def grouped_tasks(tasks=3, groups=6, each=5):
    """Binary tasks in which every group has one positive example."""
    size = groups * each
    targets = np.tile([1] + [0] * (each - 1), groups).astype(np.int64)
    pool = TaskPool(
        tuple(Task(f"t{n}", np.arange(n * size, (n + 1) * size), targets) for n in range(tasks))
    )
    return pool, np.arange(tasks * size) // each


@pytest.mark.parametrize("rule", ["stratified", "balanced", "random"])
def test_no_group_is_on_both_sides_of_a_group_disjoint_task(rule):
    pool, groups = grouped_tasks()
    sampler = sampler_of(
        pool, groups=groups, shot=10, query=None, support=rule, draws=4, group_disjoint=True
    )
    for _, support, _, asked, *_ in singles(sampler, 0, 12):
        assert len(support) == 10
        assert not set(groups[support]) & set(groups[asked])
        touched = len(set(groups[support]))
        assert touched <= (5 if rule == "balanced" else 3)  # filled group by group
        assert len(asked) == 30 - 5 * touched  # whole groups are left


def test_a_support_of_groups_takes_all_their_examples():
    pool, groups = grouped_tasks()
    sampler = sampler_of(pool, groups=groups, shot=2, query=7, support="groups", draws=20)
    seen = set()
    for _, support, _, asked, *_ in singles(sampler, 0, 60):
        assert len(support) == 10
        chosen = set(groups[support])
        assert len(chosen) == 2
        assert not chosen & set(groups[asked])
        assert len(asked) == 7
        seen |= chosen
    assert len(seen) == 18


def test_examples_without_a_group_are_groups_of_their_own():
    pool, groups = grouped_tasks(tasks=1)
    groups[3:7] = -1
    sampler = sampler_of(
        pool, groups=groups, shot=10, query=None, support="random", draws=30, group_disjoint=True
    )
    for _, support, _, asked, *_ in singles(sampler, 0, 30):
        real = set(groups[support]) - {-1}
        assert not real & set(groups[asked])
    assert any({3, 4, 5, 6} & set(asked) for *_, asked, _, _ in singles(sampler, 0, 30))


def test_what_groups_cannot_fill_is_said():
    pool, groups = grouped_tasks()
    with pytest.raises(InapplicableError, match="supports of whole groups need groups"):
        sampler_of(pool, shot=2, support="groups")
    with pytest.raises(InapplicableError, match="a support of 6 groups leaves no query"):
        sampler_of(pool, groups=groups, shot=6, support="groups")
    one = np.zeros_like(groups)
    with pytest.raises(InapplicableError, match="a support of 4 leaves no query"):
        sampler_of(pool, groups=one, shot=4, query=None, group_disjoint=True)
    lone = np.concatenate([np.zeros(24, np.int64), np.arange(1, 7), np.arange(7, 67)])
    sampler = sampler_of(
        pool, groups=lone, shot=29, query=None, group_disjoint=True, support="random"
    )
    left = [len(asked) for _, _, _, asked, *_ in singles(sampler, 0, 3)]
    assert left == [1, 1, 1]


def test_values_of_several_outputs_stay_together():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 3)).astype(np.float32)
    pool = TaskPool((Task("r", np.arange(30), values),))
    assert pool.tasks[0].way == 3
    ((way, support, targets, asked, asked_targets, _),) = singles(
        sampler_of(pool, shot=4, query=6, draws=1), 0, 1
    )
    assert way == 3
    np.testing.assert_array_equal(targets, values[support])
    np.testing.assert_array_equal(asked_targets, values[asked])


def test_a_task_of_one_class_still_has_two():
    assert Task("t", np.arange(3), np.zeros(3, np.int64)).way == 2


def test_in_training_a_small_task_gives_half_of_its_examples():
    pool = binary_tasks([(10, 10), (200, 100)])
    seen = {}
    for _, support, _, asked, _, (number,) in singles(
        sampler_of(pool, split="train", shot=64, query=None), 0, 40
    ):
        seen[number] = (len(support), len(asked))
    assert seen == {0: (10, 10), 1: (64, 236)}
    for split in ("val", "test"):
        sampler = sampler_of(pool, split=split, shot=64, query=None, draws=3)
        assert {origins[0] for *_, origins in singles(sampler, 0, 3)} == {1}


def test_a_task_whose_support_would_touch_every_group_is_left_out():
    pool, groups = grouped_tasks(tasks=3)
    groups[30:60] = 99  # the second task is one group
    sampler = sampler_of(pool, groups=groups, shot=10, query=None, draws=2, group_disjoint=True)
    assert {origins[0] for *_, origins in singles(sampler, 0, 4)} == {0, 2}
    with pytest.raises(InapplicableError, match="a support of 26 leaves no query"):
        sampler_of(pool, groups=groups, shot=26, query=None, group_disjoint=True)


def test_wrong_targets_are_named():
    with pytest.raises(ValueError, match="targets are float64; labels are int64 and values"):
        Task("t", np.arange(3), np.zeros((3, 2)))
