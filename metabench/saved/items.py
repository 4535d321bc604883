"""From what a user has, paths, texts, arrays or tensors, to the inputs that a learner takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metabench.errors import MetabenchError, UnavailableError, UsageError
from metabench.hookspecs import ReaderInfo
from metabench.learners.contracts import InputSpec
from metabench.registry.catalogue import Catalogue
from metabench.registry.targets import missing_modules, resolve_target
from metabench.saved.config import CONFIG, SavedConfig, SavedReader
from metabench.tasks.reading import Item, ItemReader, ReadItems

SHOWN = 60
"""Characters of an item that an error shows."""
MOST_FAULTS = 3
"""Bad items that an error names; the others are counted."""


def input_spec(config: SavedConfig) -> InputSpec:
    """Return what the inputs of a saved learner look like.

    Raises:
        MetabenchError: If one has a type that torch does not know.
    """
    return InputSpec(
        config.modality,
        {name: one.shape for name, one in config.inputs.items()},
        {name: _dtype(one.dtype) for name, one in config.inputs.items()},
    )


def _dtype(name: str) -> torch.dtype:
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise MetabenchError(f"{CONFIG}: {name!r} is no type of a tensor; export it again")
    return found


class ItemInputs:
    """Turns items into inputs of the shapes that a learner was trained on.

    Args:
        spec: The inputs of the learner's source.
        catalogue: What is installed.
        own: The reader that read the source, if that was a user's own data.
    """

    def __init__(
        self, spec: InputSpec, catalogue: Catalogue, own: SavedReader | None = None
    ) -> None:
        self._spec = spec
        found = [e.info for e in catalogue.readers.values() if e.info.modality == spec.modality]
        if own is not None and own.name in {info.name for info in found}:
            found = [replace(i, options=own.options) for i in found if i.name == own.name]
        self._readers = [info for info in found if not missing_modules(info.requires)]
        self._made: dict[str, ItemReader] = {}

    def __call__(self, items: Any, what: str) -> dict[str, Tensor]:
        """Read items.

        Args:
            items: A sequence of paths, texts, arrays or images; or what they become: tensors by
                name, or a single tensor where there is one input.
            what: What they are, for the message: ``support`` or ``query``.

        Returns:
            One row per item.

        Raises:
            UsageError: If they are no such thing.
            MetabenchError: If some cannot be read, by position and reason.
            UnavailableError: If no installed plugin reads them.
        """
        if (ready := self._as_inputs(items)) is not None:
            return ready
        if isinstance(items, str | bytes | Path) or not isinstance(items, Iterable):
            raise UsageError(f"{what} items are a list of items; write [{_short(items)}]")
        plain = [_plain(item) for item in items]
        if not plain:
            return self._none()
        reader = self._reader(plain, what)
        read = reader.read(plain, None if reader.any_length else dict(self._spec.shapes))
        if read.faults:
            raise MetabenchError(_told(plain, read, what))
        return dict(read.inputs)

    @property
    def example(self) -> str:
        """What an item looks like in Python, with ``{}`` where its name or content stands."""
        for info in self._readers:
            if info.role:
                return f'"{{}} {info.role}"'
            if info.suffixes:
                return f'"{{}}{info.suffixes[0]}"'
        return "{}"

    def _as_inputs(self, items: Any) -> dict[str, Tensor] | None:
        """Take what is in the form of inputs already; ``None`` if it is not."""
        shapes, dtypes = self._spec.shapes, self._spec.dtypes
        if isinstance(items, Tensor | np.ndarray) and len(shapes) == 1:
            ((name, shape),) = shapes.items()
            if isinstance(items, np.ndarray) and items.dtype.kind in "OUS":
                return None
            tensor = torch.as_tensor(items)
            if tuple(tensor.shape[1:]) != tuple(shape) or tensor.dtype != dtypes[name]:
                return None
            return {name: tensor}
        if not isinstance(items, Mapping):
            return None
        if set(items) != set(shapes):
            raise UsageError(f"inputs have the names {sorted(items)}, and {sorted(shapes)} are due")
        tensors = {name: torch.as_tensor(items[name]) for name in shapes}
        for name, tensor in tensors.items():
            if tuple(tensor.shape[1:]) != tuple(shapes[name]) or tensor.dtype != dtypes[name]:
                raise UsageError(
                    f"input {name!r} is {tensor.dtype} {tuple(tensor.shape)}, and "
                    f"{dtypes[name]} [n, {', '.join(map(str, shapes[name]))}] is due"
                )
        if len({len(tensor) for tensor in tensors.values()}) != 1:
            lengths = {name: len(tensor) for name, tensor in tensors.items()}
            raise UsageError(f"inputs differ in their number of items: {lengths}")
        return tensors

    def _none(self) -> dict[str, Tensor]:
        dtypes = self._spec.dtypes
        return {
            name: torch.empty(0, *shape, dtype=dtypes[name])
            for name, shape in self._spec.shapes.items()
        }

    def _reader(self, items: Sequence[Item], what: str) -> ItemReader:
        """Return the reader for these items, of several the one whose files they are."""
        if not self._readers:
            shapes = {name: list(shape) for name, shape in self._spec.shapes.items()}
            raise UnavailableError(
                f"no installed plugin reads items of the modality {self._spec.modality!r}",
                f"give {what} items as tensors by name, {shapes} for each item",
            )
        info = next((one for one in self._readers if _reads(one, items[0])), self._readers[0])
        if info.name not in self._made:
            made = resolve_target(info.target)(**info.options)
            if not isinstance(made, ItemReader):
                raise MetabenchError(
                    f"reader {info.name} made {type(made).__name__}; an ItemReader was expected"
                )
            self._made[info.name] = made
        return self._made[info.name]


def _plain(item: Any) -> Any:
    """Turn tensors and lists of numbers into arrays; a reader may know more, such as images."""
    if isinstance(item, Tensor):
        return item.detach().cpu().numpy()
    return np.asarray(item) if isinstance(item, list | tuple) else item


def _reads(info: ReaderInfo, item: Item) -> bool:
    if isinstance(item, str) and info.role:
        return True
    return isinstance(item, str | Path) and Path(item).suffix.lower() in info.suffixes


def _told(items: Sequence[Item], read: ReadItems, what: str) -> str:
    named = [
        f"{what} item {position} ({_short(items[position])}): {why}"
        for position, why in read.faults[:MOST_FAULTS]
    ]
    more = len(read.faults) - MOST_FAULTS
    rest = f"; {more} more like that" if more > 0 else ""
    return f"{'; '.join(named)}{rest}; mend them or leave them out"


def _short(item: Any) -> str:
    """Name an item; of a long path both ends are kept."""
    if not isinstance(item, str | Path):
        return type(item).__name__
    text = str(item)
    return repr(text if len(text) <= SHOWN else f"{text[: SHOWN // 3]}...{text[-SHOWN // 2 :]}")
