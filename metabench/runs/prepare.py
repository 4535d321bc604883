"""Loading a source, and preparing or embedding it for an encoder, once; runs in a worker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metabench.atomic import write_text
from metabench.errors import MetabenchError
from metabench.hookspecs import EncoderInfo, TaskSourceInfo
from metabench.learners.contracts import Encoder, InputSpec
from metabench.learners.device import Compute
from metabench.learners.files import read_tensors, write_tensors
from metabench.learners.model import embed_source
from metabench.registry.targets import resolve_target
from metabench.runs.tasks import (
    Part,
    Place,
    Prepared,
    encoder_index,
    fingerprint,
    read_prepared,
    source_index,
    stamp,
)
from metabench.tasks.data import ClassPool, Pool, Task, TaskData, TaskPool
from metabench.tasks.files import SourceContext

SourcePart = Part[TaskSourceInfo]
EncoderPart = Part[EncoderInfo]

KEPT_SOURCES = 2
"""Sources that a worker keeps in memory."""


def check_device(place: Place) -> None:
    """Raise `UsageError` if the device that was asked for does not exist: once, not per cell."""
    Compute.choose(place.device, place.precision)


def prepare_source(job: tuple[SourcePart, Place]) -> Prepared:
    """Load a source, keep its tensors in the cache, and describe it.

    Args:
        job: Which source, and where to read and write.

    Returns:
        Digest, files and sizes.
    """
    source, place = job
    index = source_index(place.store, source, place.data)
    if (found := read_prepared(index)) is not None and index.with_suffix(".safetensors").exists():
        return found
    context = SourceContext(source.name, place.data)
    data = resolve_target(source.info.target)(context, **source.info.options)
    if not isinstance(data, TaskData):
        raise MetabenchError(
            f"source {source.name} returned {type(data).__name__}; TaskData was expected"
        )
    if fault := _mismatch(source.info, data):
        raise MetabenchError(f"source {source.name} {fault}; its descriptor or its data are wrong")
    prepared = Prepared(
        digest=data.digest,
        files=tuple(stamp(path) for path in context.used),
        sizes={
            split: tuple(pool.sizes.tolist())
            for split, pool in data.splits.items()
            if isinstance(pool, ClassPool)
        },
        tasks={
            split: len(pool.tasks)
            for split, pool in data.splits.items()
            if isinstance(pool, TaskPool)
        },
        notes=data.notes,
    )
    _save_source(index.with_suffix(".safetensors"), data)
    write_text(index, prepared.to_json())
    return prepared


def _mismatch(info: TaskSourceInfo, data: TaskData) -> str:
    """Compare what a source says of itself with what it delivers."""
    if data.modality != info.modality:
        return f"is described as {info.modality} and delivers {data.modality}"
    for split, pool in data.splits.items():
        if isinstance(pool, ClassPool):
            found = "classification"
        elif not pool.tasks or pool.tasks[0].targets.dtype != np.int64:
            found = "regression" if pool.tasks else info.task_kind
        elif info.task_kind == "classification":
            found = "classification"
        else:
            found = "binary" if max(task.way for task in pool.tasks) == 2 else "classification"  # noqa: PLR2004
        if found != info.task_kind:
            return f"is described as {info.task_kind} and its {split} split holds {found}"
    return ""


def load_source(source: SourcePart, place: Place) -> TaskData:
    """Return a source's data, from memory, the cache, or its files."""
    index = source_index(place.store, source, place.data)
    return _cached_source(str(index), _Hold((source, place)))


class _Hold(tuple[SourcePart, Place]):
    """Arguments that must not take part in the memory cache's key."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hold)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=KEPT_SOURCES)
def _cached_source(index: str, held: _Hold) -> TaskData:
    source, place = held
    tensors = Path(index).with_suffix(".safetensors")
    data = _read_source(tensors)
    if data is None:
        tensors.unlink(missing_ok=True)
        prepare_source((source, place))
        data = _read_source(tensors)
    if data is None:
        raise MetabenchError(f"cannot read back {tensors}; delete it and run again")
    return data


def prepare_encoder(job: tuple[SourcePart, EncoderPart, Place]) -> Prepared:
    """Build an encoder for a source, prepare the source, embed it if the encoder is frozen.

    Args:
        job: Which source, which encoder, and where to read and write.

    Returns:
        The digest of the weights of a frozen encoder.
    """
    source, part, place = job
    data = load_source(source, place)
    index = encoder_index(place.store, part, data.digest)
    if (found := read_prepared(index)) is not None:
        return found
    encoder = build_encoder(part, data)
    files = tuple(stamp(Path(p)) for p in _weight_files(encoder))
    if part.info.trainable:
        prepared = Prepared(digest="", files=files)
        prepared_inputs(part, encoder, data, place)
    else:
        prepared = Prepared(digest=encoder.weights_digest(), files=files)
        _embed(part, prepared.digest, encoder, data, place)
    write_text(index, prepared.to_json())
    return prepared


def prepared_inputs(
    encoder: EncoderPart, built: Encoder, data: TaskData, place: Place
) -> dict[str, Tensor]:
    """Return a source's inputs as a trainable encoder takes them, from the cache or computed.

    Args:
        encoder: The encoder.
        built: The same, built for the source.
        data: The source.
        place: Where the cache lies.

    Returns:
        Tensors on the host, memory-mapped if they come from the cache.
    """
    if type(built).prepare is Encoder.prepare:
        return dict(data.inputs)
    name = f"{encoder.info.name}-{fingerprint(encoder.key(), data.digest)}.safetensors"
    path = place.store / "cache" / "inputs" / name
    if (found := read_tensors(path)) is not None:
        return found[0]
    prepared = dict(built.prepare(data.inputs, meta_train_items(data)))
    write_tensors(path, prepared, {"encoder": encoder.name, "source": data.digest})
    return prepared


def frozen_features(encoder: EncoderPart, digest: str, data: TaskData, place: Place) -> Tensor:
    """Return ``[n, d]`` embeddings of a source, from the cache or computed.

    Args:
        encoder: The frozen encoder.
        digest: The digest of its weights.
        data: The source.
        place: Where the cache lies.

    Returns:
        Embeddings on the host.
    """
    found = read_tensors(_features_path(encoder, digest, data, place))
    if found is not None:
        return found[0]["embedding"]
    built = build_encoder(encoder, data)
    if built.weights_digest() != digest:
        raise MetabenchError(f"the weights of {encoder.name} changed during the run; run again")
    return _embed(encoder, digest, built, data, place)


def build_encoder(encoder: EncoderPart, data: TaskData) -> Encoder:
    """Build an encoder for a source's inputs.

    Args:
        encoder: Which encoder.
        data: The source.

    Returns:
        The encoder, with its own initial weights.

    Raises:
        MetabenchError: If the target does not return an `Encoder` with a width.
    """
    spec = InputSpec.of(data.modality, data.inputs)
    built = resolve_target(encoder.info.target)(spec, **encoder.info.options)
    if not isinstance(built, Encoder) or not isinstance(getattr(built, "width", None), int):
        raise MetabenchError(
            f"encoder {encoder.name} built {type(built).__name__}; "
            "an Encoder with an integer width was expected"
        )
    return built


def meta_train_items(data: TaskData) -> Tensor:
    """Return the indices of all meta-train examples."""
    pool = data.splits.get("train")
    return torch.as_tensor(pool.items if pool is not None else np.empty(0, np.int64))


def _embed(
    encoder: EncoderPart, digest: str, built: Encoder, data: TaskData, place: Place
) -> Tensor:
    compute = Compute.choose(place.device, "fp32")
    features = embed_source(built, data.inputs, meta_train_items(data), compute)
    write_tensors(
        _features_path(encoder, digest, data, place),
        {"embedding": features},
        {"encoder": encoder.name, "weights": digest, "source": data.digest},
    )
    return features


def _features_path(encoder: EncoderPart, digest: str, data: TaskData, place: Place) -> Path:
    name = fingerprint(encoder.key(), digest, data.digest)
    return place.store / "cache" / "features" / f"{encoder.info.name}-{name}.safetensors"


def _weight_files(encoder: Encoder) -> tuple[str, ...]:
    """Files that a pretrained encoder read, if it names them."""
    return tuple(str(path) for path in getattr(encoder, "files", ()))


def _save_source(path: Path, data: TaskData) -> None:
    tensors: dict[str, Tensor] = {f"input.{k}": v for k, v in data.inputs.items()}
    header: dict[str, Any] = {
        "modality": data.modality, "notes": data.notes, "splits": {},
    }  # fmt: skip
    for what, numbers in (("groups", data.groups), ("lists", data.lists)):
        if numbers is not None:
            tensors[what] = torch.as_tensor(numbers)
    for split, pool in data.splits.items():
        if isinstance(pool, ClassPool):
            header["splits"][split] = {"classes": pool.names}
            for number, members in enumerate(pool.members):
                tensors[f"{split}.{number}"] = torch.as_tensor(members)
        elif pool.tasks:
            subsets = [task.subset for task in pool.tasks]
            header["splits"][split] = {"tasks": pool.names, "subsets": subsets}
            tensors |= {f"{split}.{name}": part for name, part in _task_tensors(pool).items()}
        else:
            header["splits"][split] = {"tasks": [], "subsets": []}
    header["digest"] = data.digest
    write_tensors(path, tensors, {"source": json.dumps(header)})


def _read_source(path: Path) -> TaskData | None:
    found = read_tensors(path)
    if found is None:
        return None
    tensors, metadata = found
    header = json.loads(metadata["source"])
    splits: dict[str, Pool] = {}
    for split, described in header["splits"].items():
        if "classes" in described:
            names = tuple(described["classes"])
            members = tuple(tensors[f"{split}.{n}"].numpy() for n in range(len(names)))
            splits[split] = ClassPool(names, members)
        else:
            own = {
                name.removeprefix(f"{split}."): tensor
                for name, tensor in tensors.items()
                if name.startswith(f"{split}.")
            }
            splits[split] = TaskPool(
                tuple(_read_tasks(own, described["tasks"], described["subsets"]))
            )
    data = TaskData(
        modality=header["modality"],
        inputs={k.removeprefix("input."): v for k, v in tensors.items() if k.startswith("input.")},
        splits=splits,
        groups=tensors["groups"].numpy() if "groups" in tensors else None,
        lists=tensors["lists"].numpy() if "lists" in tensors else None,
        notes=tuple(header["notes"]),
    )
    return data if data.digest == header["digest"] else None


def _task_tensors(pool: TaskPool) -> dict[str, Tensor]:
    """Join the tasks of a split, of which there may be thousands, into a few tensors."""
    tasks = pool.tasks
    joined: dict[str, Any] = {
        "lengths": np.array([len(task.items) for task in tasks]),
        "items": np.concatenate([task.items for task in tasks]),
        "targets": np.concatenate([task.targets for task in tasks]),
    }
    settings = [task.settings for task in tasks if task.settings is not None]
    if settings:
        joined["settings"] = np.stack(settings)
    for number, task in enumerate(tasks):
        for side, fixed in (("support", task.support), ("query", task.query)):
            if fixed is not None:
                joined[f"{side}.{number}"] = fixed
    return {name: torch.as_tensor(array) for name, array in joined.items()}


def _read_tasks(
    tensors: Mapping[str, Tensor], names: Sequence[str], subsets: Sequence[str]
) -> Iterator[Task]:
    """Undo `_task_tensors`."""
    if not names:
        return
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    ends = np.cumsum(arrays["lengths"])[:-1]
    items, targets = np.split(arrays["items"], ends), np.split(arrays["targets"], ends)
    for number, (name, subset) in enumerate(zip(names, subsets, strict=True)):
        yield Task(
            name,
            items[number],
            targets[number],
            support=arrays.get(f"support.{number}"),
            query=arrays.get(f"query.{number}"),
            subset=subset,
            settings=arrays["settings"][number] if "settings" in arrays else None,
        )
