"""Each check of a task source catches what it is for, and honest sources pass them all."""

from pathlib import Path

import numpy as np
import pytest
import torch

from metabench.errors import UsageError
from metabench.hookspecs import DataFile
from metabench.tasks.data import ClassPool, Task, TaskData, TaskPool
from metabench.testing import check_source
from metabench.testing.names import SOURCE_CHECKS

BOUNDS = {"train": (0, 12), "val": (12, 20), "test": (20, 30)}


def make(bounds=BOUNDS, *, seed=0, dtype=torch.float32, modality="vector", points=None):
    examples = 25
    rng = np.random.default_rng(seed)
    classes = max(stop for _, stop in bounds.values())
    x = rng.normal(size=(classes * examples, 4)) if points is None else points(rng)
    labels = np.repeat(np.arange(classes), examples)
    splits = {
        split: ClassPool.from_labels(labels, {n: f"c{n}" for n in range(*ends)})
        for split, ends in bounds.items()
    }
    return TaskData(modality, {"x": torch.as_tensor(x, dtype=dtype)}, splits)


def honest(context):
    return make()


def needs_a_file(context):
    return make(seed=len(context.file("mine/points.bin").read_bytes()))


def opens_a_file(context):
    return make(seed=len(Path("mine/points.bin").read_bytes()))


def returns_a_dict(context):
    return {"x": torch.zeros(3)}


def another_modality(context):
    return make(modality="image")


def unseeded(context):
    return make(seed=None)


def ordered_by_a_set(context):
    names = list({f"name {n}" for n in range(12)})
    return make(seed=[ord(name[-1]) for name in names])


def in_double(context):
    return make(dtype=torch.float64)


def not_a_number(context):
    return make(points=lambda _: np.full((750, 4), np.nan))


def all_alike(context):
    return make(points=lambda _: np.ones((750, 4)))


def one_class(context):
    return make({"train": (0, 12), "val": (12, 20), "test": (20, 21)})


def few_classes(context):
    return make({"train": (0, 12), "val": (12, 20), "test": (20, 24)})


def test_split_only(context):
    return make({"test": (0, 10)})


def copied(context):
    return make(points=lambda rng: np.tile(rng.normal(size=(25, 4)), (30, 1)))


def tasks(context):
    rng = np.random.default_rng(0)
    pools = {
        split: TaskPool(
            tuple(
                Task(f"{split} {n}", np.arange(60), rng.integers(0, 2, 60).astype(np.int64))
                for n in range(3)
            )
        )
        for split in BOUNDS
    }
    return TaskData("vector", {"x": torch.as_tensor(rng.normal(size=(60, 4))).float()}, pools)


# Named like a test by accident of its subject.
test_split_only.__test__ = False

FAULTS = [
    (needs_a_file, "missing-files", "its descriptor names no files"),
    (opens_a_file, "missing-files", "raised FileNotFoundError"),
    (returns_a_dict, "loads", "returned dict; TaskData was expected"),
    (another_modality, "loads", "is described as vector and delivers image"),
    (unseeded, "determinism", "the digest was"),
    (ordered_by_a_set, "determinism", "the digest was"),
    (in_double, "values", "float64"),
    (not_a_number, "values", "x has 3000 numbers that are not finite"),
    (all_alike, "values", "x is the same for all examples"),
    (one_class, "splits", "1 in test: too few in test"),
    (few_classes, "episodes", "quick-5w1s"),
    (copied, "duplicates", "250 of 250 test examples are copies"),
]


def check(source, *checks, **declared):
    declared = {"modality": "vector", "suites": {"quick": {}}, **declared}
    return {f.check: f for f in check_source(source, checks=checks, **declared)}


@pytest.mark.parametrize(
    ("fault", "name", "detail"), FAULTS, ids=[fault.__name__ for fault, *_ in FAULTS]
)
def test_fault_is_caught(fault, name, detail):
    with pytest.raises(AssertionError) as caught:
        check(fault, name)
    assert str(caught.value).startswith(f"{fault.__name__} violates\n  {name}: ")
    assert detail in str(caught.value)


def test_honest_source_passes():
    found = check(honest)
    assert {name: f.outcome for name, f in found.items()} == dict.fromkeys(SOURCE_CHECKS, "passed")
    assert found["episodes"].detail == "quick-5w1s, quick-5w5s"


def test_what_only_concerns_itself_is_noted():
    assert check(few_classes, "episodes", suites={})["episodes"].outcome == "measured"
    found = check(test_split_only, "splits")["splits"]
    assert (found.outcome, found.detail) == ("measured", "10 in test; no train and no val split")


def test_tasks_may_share_examples():
    found = check(tasks, task_kind="binary", metric="auroc", suites={"quick": {"shots": [10]}})
    assert found["duplicates"].outcome == "inapplicable"
    assert {f.outcome for f in found.values()} == {"passed", "inapplicable"}


def test_a_source_of_files_is_examined_where_they_are(tmp_path):
    files = (DataFile(path="mine/points.bin"),)
    found = check(needs_a_file, files=files)
    assert found["missing-files"].outcome == "passed"
    assert found["loads"].outcome == "inapplicable"
    assert "needs_a_file reads mine/points.bin" in found["loads"].detail
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/points.bin").write_bytes(b"123")
    found = {
        f.check: f.outcome
        for f in check_source(needs_a_file, data=tmp_path, modality="vector", files=files)
    }
    assert found == dict.fromkeys(SOURCE_CHECKS, "passed")


def test_misuse_is_told():
    with pytest.raises(UsageError, match="modality='image'"):
        check_source(honest)
    with pytest.raises(UsageError, match="3 is no source; give the name of an installed source, a"):
        check_source(3)
    with pytest.raises(UsageError, match="<lambda> cannot be imported"):
        check(lambda _: make())
    with pytest.raises(UsageError, match="unknown source 'digitz'; did you mean digits"):
        check_source("digitz")
    with pytest.raises(UsageError, match="unknown check 'load'"):
        check(honest, "load")


def test_an_installed_source():
    found = check_source("intents", checks=["splits", "duplicates"])
    assert {f.outcome for f in found} == {"passed"}
