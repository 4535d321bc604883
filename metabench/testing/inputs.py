"""A few real examples of any modality, from an installed source that brings its own data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import torch
from torch import Tensor

from metabench.errors import UnavailableError
from metabench.hookspecs import TaskSourceInfo
from metabench.registry.catalogue import Catalogue, Entry
from metabench.registry.targets import missing_modules, resolve_target
from metabench.tasks.data import IntArray, TaskData
from metabench.tasks.files import SourceContext

META_TRAIN, OTHERS = 24, 12
"""How many examples are taken, of the meta-train split and of the others."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A few examples.

    Attributes:
        modality: What they are.
        inputs: Tensors with one common first dimension.
        meta_train: Indices of the examples that statistics may be fitted on.
        origin: Where they come from, for messages.
    """

    modality: str
    inputs: Mapping[str, Tensor]
    meta_train: Tensor
    origin: str

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(next(iter(self.inputs.values())))


def sample_of(data: TaskData, origin: str) -> Sample:
    """Take a few examples of a source, evenly spread over its splits.

    Args:
        data: The source.
        origin: Its name, for messages.
    """
    train = data.splits["train"].items if "train" in data.splits else np.empty(0, np.int64)
    rest = np.setdiff1d(np.concatenate([pool.items for pool in data.splits.values()]), train)
    kept_train, kept_rest = _spread(train, META_TRAIN), _spread(rest, OTHERS)
    index = torch.as_tensor(np.concatenate([kept_train, kept_rest]))
    inputs = {name: tensor[index].clone() for name, tensor in data.inputs.items()}
    return Sample(data.modality, inputs, torch.arange(len(kept_train)), origin)


def _spread(items: IntArray, count: int) -> IntArray:
    where = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(np.int64)
    return items[where]


def find_sample(catalogue: Catalogue, modality: str, plugin: str = "") -> Sample:
    """Find examples of a modality.

    Sources that read files are left alone, so that this works offline; those of the plugin itself
    come first.

    Args:
        catalogue: What is installed.
        modality: The modality; ``*`` is any.
        plugin: The distribution whose own sources are preferred.

    Returns:
        The examples.

    Raises:
        UnavailableError: If no installed source has any.
    """
    entries = [
        entry
        for entry in catalogue.sources.values()
        if modality in ("*", entry.info.modality)
        and not entry.info.files
        and not missing_modules(entry.info.requires)
    ]
    entries.sort(key=lambda entry: (entry.plugin != plugin, not entry.info.suites, entry.info.name))
    for entry in entries:
        try:
            return _loaded(_Held(entry), entry.info.name, entry.plugin, entry.info.target)
        except Exception:  # noqa: BLE001, S112 - its own checks say what is wrong; another may serve
            continue
    raise UnavailableError(
        f"no installed source has {modality} data that need no files",
        "install one, or hand examples over: check_encoder(..., inputs=..., modality=...)",
    )


class _Held(tuple[Entry[TaskSourceInfo]]):
    """An argument that must not take part in the memory cache's key."""

    __slots__ = ()

    def __new__(cls, entry: Entry[TaskSourceInfo]) -> Self:
        return super().__new__(cls, (entry,))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=8)
def _loaded(held: _Held, name: str, plugin: str, target: str) -> Sample:
    info = held[0].info
    data = resolve_target(target)(SourceContext(name), **info.options)
    return sample_of(data, f"source {name} of {plugin}")
