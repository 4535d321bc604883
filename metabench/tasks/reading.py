"""How a user's own items become inputs of a modality: the contract of readers, and its helpers.

A plugin says with `metabench.hookspecs.ReaderInfo` which files it decodes and which columns of a
table it reads. Its reader makes the tensors that the plugin's encoders take: of a folder of photos
when they become a source, and of a few new items when a saved model is to predict them.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from metabench.tasks.data import IntArray
from metabench.tasks.files import MAX_MEMBER_BYTES

Item = Path | str | bytes | npt.NDArray[Any]
"""A file by its path, a value of a table such as a text, the bytes of a file, or an array."""
Shapes = Mapping[str, tuple[int, ...]]
"""The shape of one example of each input, such as ``{"pixels": (3, 84, 84)}``."""
Fault = tuple[int, str]
"""The position of an item that was left out, and why."""

AHEAD = 4
"""Items that each thread may be ahead of the one that is taken."""

T = TypeVar("T")


class BadItemError(Exception):
    """An item that cannot be used, and why; it is counted and named, and the others stay."""


@dataclass(frozen=True)
class ReadItems:
    """What became of some items.

    Attributes:
        inputs: Tensors with one row per item that was kept, in the order of the items.
        kept: ``[m]`` positions of these items.
        faults: The others, each with its position and what is wrong.
        identity: ``[m]`` numbers that are equal where the content is the same to a reader of it,
            such as texts that differ in case only; ``None`` compares the rows of the inputs.
        groups: ``[m]`` names of what must not be on both sides of an episode, such as a scaffold;
            empty for an item without; ``None`` if the modality has no such thing.
        notes: What was decided or lost, such as how many recordings were cut.
    """

    inputs: Mapping[str, Tensor]
    kept: IntArray
    faults: tuple[Fault, ...] = ()
    identity: npt.NDArray[np.uint64] | None = None
    groups: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Reject what would label the wrong rows.

        Raises:
            ValueError: If the inputs, positions, identities and groups differ in number, or the
                positions are not in ascending order.
        """
        lengths = {name: len(tensor) for name, tensor in self.inputs.items()}
        lengths["kept"] = len(self.kept)
        for name, values in (("identity", self.identity), ("groups", self.groups)):
            if values is not None:
                lengths[name] = len(values)
        if len(set(lengths.values())) != 1:
            raise ValueError(f"a reader returned different numbers of rows: {lengths}")
        if (np.diff(self.kept) <= 0).any():
            raise ValueError("a reader did not keep the items in order")


class ItemReader(ABC):
    """Turns items into inputs.

    Items come as a sequence that may read a file each time it is indexed, so a reader takes them
    one after the other, twice at the most, and never makes a list of them all.

    Attributes:
        any_length: Whether encoders of the modality take inputs of any length, padded as they are:
            then new items keep theirs, even beyond the longest that a model was trained on.
    """

    any_length: bool = False

    @abstractmethod
    def read(self, items: Sequence[Item], like: Shapes | None = None) -> ReadItems:
        """Read items.

        One that cannot be used (damaged, empty, of an unreasonable size) is a fault and no error.

        Args:
            items: Paths of files with one of the descriptor's suffixes, values of a column of its
                role, the bytes of such a file, or arrays.
            like: Make inputs of exactly these shapes, by cropping, padding or resizing: those that
                a model was trained for. By default the reader chooses what suits the items.

        Returns:
            The inputs of what could be read.
        """


def item_bytes(item: Item) -> bytes:
    """Return the content of a file.

    Args:
        item: A path, as a `Path` or a string, or the content itself.

    Raises:
        BadItemError: If the file cannot be read, is empty or is unreasonably large, or the item is
            no file.
    """
    if isinstance(item, str):
        item = Path(item)
    if isinstance(item, Path):
        try:
            if (size := item.stat().st_size) > MAX_MEMBER_BYTES:
                raise BadItemError(f"has {size} bytes; at most {MAX_MEMBER_BYTES} are read")
            item = item.read_bytes()
        except OSError as error:
            raise BadItemError(f"cannot be read ({error.strerror})") from error
    if not isinstance(item, bytes):
        raise BadItemError(f"is {type(item).__name__}, and no file")
    if not item:
        raise BadItemError("is empty (0 bytes)")
    return item


def in_order(
    items: Sequence[Item], decode: Callable[[Item], T], faults: list[Fault], *, threads: int = 0
) -> Iterator[tuple[int, T]]:
    """Decode items in threads, a few ahead of what is taken, and hand them out in order.

    Args:
        items: The items.
        decode: Makes something of one; raises `BadItemError` at one that cannot be used.
        faults: Receives the items that were left out.
        threads: How many; by default one per core that this process has.

    Yields:
        Position and result of each item that could be used.
    """

    def attempt(position: int) -> T | BadItemError:
        try:
            return decode(items[position])
        except BadItemError as reason:
            return reason

    threads = threads or len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[int, Future[T | BadItemError]]] = deque()
        for position in range(len(items)):
            waiting.append((position, pool.submit(attempt, position)))
            if len(waiting) < threads * AHEAD:
                continue
            yield from _taken(waiting, faults)
        while waiting:
            yield from _taken(waiting, faults)


def _taken(
    waiting: deque[tuple[int, Future[T | BadItemError]]], faults: list[Fault]
) -> Iterator[tuple[int, T]]:
    position, future = waiting.popleft()
    result = future.result()
    if isinstance(result, BadItemError):
        faults.append((position, str(result)))
    else:
        yield position, result


def identity_of(content: bytes) -> int:
    """Return a number that stands for some content, for `ReadItems.identity`."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def identities(read: ReadItems) -> npt.NDArray[np.uint64]:
    """Return a reader's identities, or those of the rows of its inputs."""
    if read.identity is not None:
        return read.identity
    arrays = [read.inputs[name].contiguous().numpy() for name in sorted(read.inputs)]
    rows = range(len(read.kept))
    return np.array(
        [identity_of(b"".join(array[row].tobytes() for array in arrays)) for row in rows],
        dtype=np.uint64,
    )
