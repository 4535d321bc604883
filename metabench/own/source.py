"""A user's own data as task data: decoded, without repeated items, in pools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, overload

from metabench.errors import UnavailableError, UsageError
from metabench.hookspecs import ReaderInfo
from metabench.own.data import FILE_ROLE, OwnData
from metabench.own.describe import reader_of
from metabench.own.plan import Plan, make_plan
from metabench.own.pools import Decoded, pooled
from metabench.own.read import read_rows
from metabench.own.rows import NAMED, IntArray, Rows, counted
from metabench.registry.targets import resolve_target
from metabench.tasks.data import TaskData
from metabench.tasks.files import SourceContext
from metabench.tasks.reading import ItemReader, ReadItems

T = TypeVar("T")


def own_data(
    context: SourceContext,
    *,
    own: Mapping[str, Any],
    reader: Mapping[str, Any],
    notes: Sequence[str],
    state: str = "",
    words: Sequence[str] = (),
) -> TaskData:
    """Read a user's own data.

    Args:
        context: Notes the files that decide what is read.
        own: The fields of `OwnData`.
        reader: Those of the reader's descriptor.
        notes: What was recognised and decided when the run was planned.
        state: Changes with the data; part of the source's identity in the cache.
        words: The flags that name the data, for records.

    Returns:
        A pool of classes, or of tasks, for each split.

    Raises:
        MetabenchError: If the data are no more what they were, or nothing can be decoded.
    """
    del state, words
    said = OwnData.model_validate(own)
    info = reader_of(reader)
    rows, _ = read_rows(said, [info])
    context.used.extend(rows.files)
    if said.split_file is not None:
        context.used.append(said.split_file)
    plan = make_plan(said, rows)
    read = make_reader(info, said).read(Picked(rows.items, plan.items))
    if not len(read.kept):
        first = f"; {rows.places[plan.items[read.faults[0][0]]]} {read.faults[0][1]}"
        raise UnavailableError(
            f"{said.place}: none of {counted(len(plan.items), 'item')} could be read"
            f"{first if read.faults else ''}",
            "mend or replace the files",
        )
    told = [*notes, *rows.notes, *plan.notes, *_faults(rows, plan, read), *read.notes]
    return pooled(Decoded(info.modality, rows, plan, read, told))


def make_reader(info: ReaderInfo, own: OwnData) -> ItemReader:
    """Build a reader with the user's settings.

    Args:
        info: Its descriptor.
        own: May hold settings, and the encoding of text files.

    Raises:
        UsageError: If it does not take one of the settings.
    """
    options = reader_settings(info, own)
    target = resolve_target(info.target)
    try:
        made: ItemReader = target(**options)
    except TypeError as error:
        given = ", ".join(f"{name}={value}" for name, value in options.items())
        raise UsageError(f"the reader {info.name!r} does not take {given} ({error})") from error
    return made


def reader_settings(info: ReaderInfo, own: OwnData) -> dict[str, Any]:
    """Return the options that a reader is built with.

    Args:
        info: Its descriptor.
        own: May hold settings, and the encoding of text files.
    """
    options = {**info.options, **own.reader_options}
    if own.encoding != OwnData.model_fields["encoding"].default and (
        own.data_folder is not None or FILE_ROLE in own.roles
    ):
        options.setdefault("encoding", own.encoding)
    return options


class Picked(Sequence[T]):
    """Some of a sequence's items, each looked up when it is asked for.

    Args:
        items: The sequence.
        positions: Which ones.
    """

    def __init__(self, items: Sequence[T], positions: IntArray) -> None:
        self._items = items
        self._positions = positions

    def __len__(self) -> int:
        """Return the number of items picked."""
        return len(self._positions)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Picked[T]: ...
    def __getitem__(self, index: int | slice) -> T | Picked[T]:
        """Return an item, or fewer of them."""
        if isinstance(index, slice):
            return Picked(self._items, self._positions[index])
        return self._items[int(self._positions[index])]


def _faults(rows: Rows, plan: Plan, read: ReadItems) -> Iterator[str]:
    if read.faults:
        named = "; ".join(
            f"{rows.places[int(plan.items[position])]} {what}"
            for position, what in read.faults[:NAMED]
        )
        more = len(read.faults) - NAMED
        named += f"; and {more} more" if more > 0 else ""
        yield f"{counted(len(read.faults), 'item')} left out: {named}"
