"""What a source may deliver, and what its digest depends on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from task_cases import binary_tasks, pool_of

from metabench.tasks.data import ClassPool, Task, TaskData, TaskPool

TEN = np.arange(10)


def pool(first, names="ab"):
    return ClassPool(tuple(names), (TEN[first : first + 2], TEN[first + 2 : first + 4]))


def example(**changes):
    settings = {
        "modality": "vector",
        "inputs": {"x": torch.arange(20.0).reshape(10, 2), "n": torch.arange(10)},
        "splits": {"train": pool(0, "ab"), "test": pool(4, "cd")},
        "groups": TEN % 3,
    }
    return TaskData(**{**settings, **changes})


def task(**changes):
    settings = {
        "name": "t",
        "items": np.arange(6),
        "targets": np.array([0, 1, 0, 1, 0, 1]),
        "support": np.array([0, 1]),
        "query": np.array([2, 3]),
    }
    return Task(**{**settings, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inputs": {"x": torch.zeros(10), "y": torch.zeros(9)}}, "'y': 9"),
        ({"inputs": {}}, "first dimension"),
        ({"splits": {"train": pool(0)}}, "needs a test split"),
        ({"splits": {"dev": pool(0), "test": pool(4)}}, "unknown splits .'dev'."),
        ({"groups": TEN[:4]}, r"\(4,\) for 10"),
        ({"groups": TEN[:, None]}, r"\(10, 1\) for 10"),
        ({"splits": {"test": ClassPool(("a",), (np.array([10]),))}}, r"outside 0\.\.9"),
        ({"splits": {"test": ClassPool(("a",), (np.array([-1]),))}}, r"outside 0\.\.9"),
        ({"splits": {"train": pool(0, "ab"), "test": pool(2, "cd")}}, "share 2 examples"),
        ({"splits": {"train": pool(0, "ab"), "test": pool(4, "bc")}}, "share .'b'."),
        ({"splits": {"train": pool(0), "test": TaskPool((task(),))}}, "share 4 examples"),
        (
            {"splits": {"train": TaskPool((task(),)), "test": TaskPool((task(),))}},
            "share .'t'.",
        ),
    ],
)
def test_what_no_episode_could_be_drawn_from_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        example(**changes)


def test_tasks_of_two_splits_may_share_examples():
    splits = {"train": TaskPool((task(),)), "test": TaskPool((task(name="u"),))}
    assert len(example(splits=splits)) == 10


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ClassPool(("a",), (TEN[:2], TEN[2:])), "1 class names for 2"),
        (lambda: ClassPool(("a", "a"), (TEN[:2], TEN[2:])), "'a' comes twice"),
        (lambda: ClassPool(("a", "b"), (TEN[:3], TEN[2:])), "1 examples belong to more"),
        (lambda: ClassPool(("a",), (np.array([1, 1]),)), "1 examples belong to more"),
        (lambda: TaskPool((task(), task())), "'t' comes twice"),
        (lambda: task(targets=np.array([0, 1])), "not two lists of one length"),
        (lambda: task(items=np.empty(0, np.int64), targets=np.empty(0, np.int64)), "one length"),
        (lambda: task(targets=np.zeros(6)), "float64"),
        (lambda: task(targets=np.array([0, 1, -1, 0, 1, 0])), "-1 is negative"),
        (lambda: task(items=np.array([0, 1, 2, 3, 4, 4])), "an example twice"),
        (lambda: task(support=None), "no fixed support"),
        (lambda: task(query=np.array([1, 2])), "share an example"),
        (lambda: task(query=np.array([6])), "points outside"),
        (lambda: task(support=np.array([-1])), "points outside"),
    ],
)
def test_a_pool_that_contradicts_itself_is_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_pools_list_their_items_and_sizes():
    classes = ClassPool.from_labels([2, 0, 2, 1, 5], {2: "two", 0: "nought"}, items=[9, 8, 7, 6, 5])
    assert classes.names == ("nought", "two")
    assert [m.tolist() for m in classes.members] == [[8], [9, 7]]
    assert classes.sizes.tolist() == [1, 2]
    assert classes.items.tolist() == [7, 8, 9]
    assert binary_tasks([(1, 2), (3, 1)]).items.tolist() == list(range(7))
    assert TaskPool(()).items.size == 0
    assert pool_of([]).items.size == 0
    assert task().way == 2
    assert task(targets=np.zeros(6, np.float32)).way == 1


def test_equal_data_have_equal_digests_and_notes_do_not_matter():
    first, second = example(), example(notes=("said",))
    assert first.digest == second.digest == first.digest
    strided = torch.zeros(10, 4)
    strided[:, ::2] = first.inputs["x"]
    assert example(inputs={**first.inputs, "x": strided[:, ::2]}).digest == first.digest


def test_the_digest_is_sensitive_to_every_part():
    base = example()
    x, n = base.inputs["x"], base.inputs["n"]
    flipped = x.clone()
    flipped[9, 1] += 1
    test = base.splits["test"]
    tasks = {"test": TaskPool((task(),))}
    variants = [
        base,
        example(modality="image"),
        example(inputs={"x": flipped, "n": n}),
        example(inputs={"x": x.double(), "n": n}),
        example(inputs={"x": x.reshape(10, 2, 1), "n": n}),
        example(inputs={"z": x, "n": n}),
        example(inputs={"x": x}),
        example(groups=None),
        example(groups=TEN % 4),
        example(splits={"test": test}),
        example(splits={"val": base.splits["train"], "test": test}),
        example(splits={**base.splits, "test": ClassPool(("d", "c"), test.members)}),
        example(splits={**base.splits, "test": ClassPool(("c", "d"), test.members[::-1])}),
        example(splits={**base.splits, "test": ClassPool(("c", "d"), (TEN[4:6], TEN[6:7]))}),
        example(splits=tasks),
        *(
            example(splits={"test": TaskPool((replace(task(), **change),))})
            for change in (
                {"name": "u"},
                {"items": np.arange(1, 7)},
                {"targets": np.array([0, 1, 0, 1, 0, 0])},
                {"targets": np.zeros(6, np.float32)},
                {"query": None},
                {"query": np.array([2, 4])},
                {"support": None, "query": None},
                {"support": np.array([0]), "query": np.array([2, 3])},
            )
        ),
    ]
    assert len({one.digest for one in variants}) == len(variants)
