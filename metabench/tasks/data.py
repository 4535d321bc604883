"""What a task source delivers: tensors of all its examples, and pools that tasks are drawn from."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch

IntArray = npt.NDArray[np.int64]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class ClassPool:
    """Classes from which N-way K-shot tasks are sampled.

    Attributes:
        names: One name per class.
        members: For each class, the indices of its examples in the source's inputs.
    """

    names: tuple[str, ...]
    members: tuple[IntArray, ...]

    def __post_init__(self) -> None:
        """Reject a pool from which an example could be on both sides of an episode.

        Raises:
            ValueError: If names and members differ in number, a name comes twice, or an example
                belongs to two classes or twice to one.
        """
        if len(self.names) != len(self.members):
            raise ValueError(f"{len(self.names)} class names for {len(self.members)} classes")
        if twice := _repeated(self.names):
            raise ValueError(f"class {twice!r} comes twice")
        if (count := int(self.sizes.sum())) != len(self.items):
            raise ValueError(f"{count - len(self.items)} examples belong to more than one class")

    @classmethod
    def from_labels(
        cls, labels: npt.ArrayLike, names: Mapping[int, str], items: npt.ArrayLike | None = None
    ) -> ClassPool:
        """Collect the examples of each named class.

        Args:
            labels: ``[n]`` class of each example.
            names: The classes of this pool, by label; other labels are left out.
            items: ``[n]`` index of each example in the inputs; by default ``0 .. n-1``.

        Returns:
            A pool with the classes in ascending order of label.
        """
        labels = np.asarray(labels)
        index = np.arange(len(labels)) if items is None else np.asarray(items)
        kept = sorted(names)
        members = tuple(index[labels == label].astype(np.int64) for label in kept)
        return cls(tuple(names[label] for label in kept), members)

    @property
    def sizes(self) -> IntArray:
        """``[classes]`` number of examples of each class."""
        return np.array([len(m) for m in self.members], dtype=np.int64)

    @property
    def items(self) -> IntArray:
        """Sorted indices of every example in the pool."""
        return np.unique(np.concatenate(self.members)) if self.members else np.empty(0, np.int64)


@dataclass(frozen=True)
class Task:
    """One fixed task with its own labelled examples.

    Attributes:
        name: The task's name, such as an assay identifier.
        items: ``[n]`` indices of its examples in the source's inputs.
        targets: ``[n]`` labels ``0 .. way-1`` (int64), or ``[n, k]`` values of ``k`` outputs
            (float32; ``[n]`` is taken for one output).
        support: Positions in ``items`` of a support set that upstream has fixed, or ``None`` where
            the protocol draws one.
        query: Positions of the query set that goes with a fixed support; by default all others.
        subset: A kind of task, such as ``inside`` and ``outside`` the range of the meta-train
            tasks; the record also holds the metric's mean over each.
        settings: ``[m]`` numbers that describe the task and that no learner sees, such as masses
            and a goal; for a metric that simulates. All tasks of a split have equally many.
    """

    name: str
    items: IntArray
    targets: npt.NDArray[np.int64] | npt.NDArray[np.float32]
    support: IntArray | None = None
    query: IntArray | None = None
    subset: str = ""
    settings: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Reject a task from which no episode could be drawn.

        Raises:
            ValueError: If items and targets differ in number, an item comes twice, a label is
                negative, targets are neither int64 nor float32, values are not finite, settings
                are no vector of float64, or fixed sides overlap, repeat a position, or point
                outside.
        """
        if self.targets.dtype not in (np.int64, np.float32):
            raise ValueError(
                f"task {self.name!r}: targets are {self.targets.dtype}; labels are int64 and "
                "values float32"
            )
        if self.targets.dtype == np.float32 and self.targets.ndim == 1:
            object.__setattr__(self, "targets", self.targets[:, None])
        columns = 2 if self.targets.dtype == np.float32 else 1
        alike = self.targets.shape[:1] == self.items.shape and self.targets.ndim == columns
        if not alike or not self.targets.size:
            raise ValueError(
                f"task {self.name!r}: items {self.items.shape} and targets {self.targets.shape} "
                "are not two lists of one length"
            )
        if self.targets.dtype == np.int64 and self.targets.min() < 0:
            raise ValueError(f"task {self.name!r}: label {self.targets.min()} is negative")
        if not np.isfinite(self.targets).all():
            raise ValueError(f"task {self.name!r}: a target is not a finite number")
        settings = self.settings
        if settings is not None and (settings.dtype != np.float64 or settings.ndim != 1):
            raise ValueError(f"task {self.name!r}: settings are no vector of float64")
        if len(np.unique(self.items)) != len(self.items):
            raise ValueError(f"task {self.name!r} holds an example twice")
        self._check_sides()

    def _check_sides(self) -> None:
        if self.query is not None and self.support is None:
            raise ValueError(f"task {self.name!r} has a fixed query but no fixed support")
        sides = [side for side in (self.support, self.query) if side is not None]
        fixed = np.concatenate([np.empty(0, np.int64), *sides])
        if len(fixed) and (fixed.min() < 0 or fixed.max() >= len(self.items)):
            raise ValueError(f"task {self.name!r}: a fixed side points outside its examples")
        if len(np.unique(fixed)) != len(fixed):
            raise ValueError(f"task {self.name!r}: support and query share an example")

    @property
    def way(self) -> int:
        """Number of classes, two at the least; in regression the number of outputs."""
        if self.targets.dtype == np.int64:
            return max(int(self.targets.max()) + 1, 2)
        return int(self.targets.shape[1])


@dataclass(frozen=True)
class TaskPool:
    """Fixed tasks (assays, plants, published runs), each with its own labels."""

    tasks: tuple[Task, ...]

    def __post_init__(self) -> None:
        """Reject a name that comes twice, and tasks of different kinds.

        Raises:
            ValueError: If two tasks have one name, or differ in the type of their targets, the
                number of outputs, or the number of settings.
        """
        if twice := _repeated(self.names):
            raise ValueError(f"task {twice!r} comes twice")
        for what, kinds in (
            ("types of targets", {task.targets.dtype for task in self.tasks}),
            ("numbers of outputs", {task.targets.shape[1:] for task in self.tasks}),
            ("numbers of settings", {_length(task.settings) for task in self.tasks}),
        ):
            if len(kinds) > 1:
                raise ValueError(f"the tasks of a split have different {what}: {kinds}")

    @property
    def names(self) -> tuple[str, ...]:
        """One name per task."""
        return tuple(task.name for task in self.tasks)

    @property
    def items(self) -> IntArray:
        """Sorted indices of every example of any task."""
        return np.unique(np.concatenate([np.empty(0, np.int64), *(t.items for t in self.tasks)]))


Pool = ClassPool | TaskPool


@dataclass(frozen=True)
class TaskData:
    """Everything a cell needs of a source.

    Attributes:
        modality: What the inputs are; matched against the encoders' modalities.
        inputs: Tensors with one common first dimension: one row per example. Images stay uint8,
            text is UTF-8 bytes with a length, ragged data is padded once.
        splits: ``train``, ``val`` and ``test`` pools with disjoint classes or tasks. ``train`` and
            ``val`` may be absent: then nothing is meta-trained, or the last weights are used.
        groups: ``[n]`` identity that must not be on both sides of an episode when a protocol asks
            for it (drawer, speaker, document); -1 marks an example without a group.
        lists: ``[n]`` identity of the list that an example is ranked in, such as the candidates of
            one question, for metrics over lists; by default the groups.
        notes: What was left out or decided while loading, for the record.
    """

    modality: str
    inputs: Mapping[str, torch.Tensor]
    splits: Mapping[str, Pool]
    _: KW_ONLY
    groups: IntArray | None = None
    lists: IntArray | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Reject what no episode could be drawn from.

        Raises:
            ValueError: If first dimensions differ, an index is out of range, a split is unknown,
                a class or task is in two splits, or an example is in a split of classes and in
                another one. (Tasks may share examples: one molecule is in many assays.)
        """
        lengths = {name: len(tensor) for name, tensor in self.inputs.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"inputs differ in their first dimension: {lengths}")
        if unknown := set(self.splits) - set(SPLITS):
            raise ValueError(f"unknown splits {sorted(unknown)}; use {', '.join(SPLITS)}")
        if "test" not in self.splits:
            raise ValueError("a source needs a test split")
        for what, numbers in (("groups", self.groups), ("lists", self.lists)):
            if numbers is not None and numbers.shape != (len(self),):
                raise ValueError(f"{what} of shape {numbers.shape} for {len(self)} examples")
        for split, pool in self.splits.items():
            items = pool.items
            if len(items) and (items[0] < 0 or items[-1] >= len(self)):
                raise ValueError(f"split {split!r} names examples outside 0..{len(self) - 1}")
        self._check_disjoint()

    def _check_disjoint(self) -> None:
        for (split, pool), (other, other_pool) in combinations(self.splits.items(), 2):
            tasks = isinstance(pool, TaskPool) and isinstance(other_pool, TaskPool)
            shared = np.intersect1d(pool.items, other_pool.items).size
            if shared and not tasks:
                raise ValueError(f"splits {split!r} and {other!r} share {shared} examples")
            same = set(pool.names) & set(other_pool.names)
            if same and type(pool) is type(other_pool):
                raise ValueError(f"splits {split!r} and {other!r} share {sorted(same)[:3]}")

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(next(iter(self.inputs.values())))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over inputs, targets, splits and groups: what the numbers depend on."""
        sha = hashlib.sha256(self.modality.encode())
        for name in sorted(self.inputs):
            _update(sha, f"input {name}", self.inputs[name].contiguous().numpy())
        for what, numbers in (("groups", self.groups), ("lists", self.lists)):
            if numbers is not None:
                _update(sha, what, numbers)
        for split in sorted(self.splits):
            pool = self.splits[split]
            if isinstance(pool, ClassPool):
                for name, members in zip(pool.names, pool.members, strict=True):
                    _update(sha, f"{split} class {name}", members)
            else:
                for task in pool.tasks:
                    _update_task(sha, split, task)
        return sha.hexdigest()


def _length(settings: npt.NDArray[np.float64] | None) -> int:
    return 0 if settings is None else len(settings)


def _repeated(names: tuple[str, ...]) -> str | None:
    """Return a name that comes twice, if there is one."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


def _update_task(sha: hashlib._Hash, split: str, task: Task) -> None:
    _update(sha, f"{split} task {task.name}", task.items)
    for label, array in (
        ("targets", task.targets),
        ("support", task.support),
        ("query", task.query),
        ("settings", task.settings),
    ):
        if array is not None:
            _update(sha, label, array)
    if task.subset:
        sha.update(f"\0subset {task.subset}\0".encode())


def _update(sha: hashlib._Hash, label: str, array: npt.NDArray[np.generic]) -> None:
    sha.update(f"\0{label} {array.dtype.str} {array.shape}\0".encode())
    sha.update(np.ascontiguousarray(array).data)
