"""What is handed to workers, and what comes back: plain data, cheap to send. Needs no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from metabench.hookspecs import AlgorithmInfo, Descriptor, EncoderInfo, MetricInfo, TaskSourceInfo
from metabench.registry.home import Environment
from metabench.runs.protocol import Protocol
from metabench.runs.record import Cell, digest_of

D_co = TypeVar("D_co", bound=Descriptor, covariant=True)


@dataclass(frozen=True)
class Part(Generic[D_co]):
    """A descriptor with where it comes from and what it is made of.

    Attributes:
        info: The descriptor, with the argument of ``name:ARGUMENT`` among its options.
        name: As the user writes it, with the argument.
        distribution: The distribution that provides it.
        version: That distribution's version.
        code: Digest of the source code behind its target.
        dependencies: Versions of the distribution's own requirements.
        libraries: Versions of packages that the descriptor, or its argument, takes parts from.
        missing: Modules that it needs and that are not installed.
        recipe_code: Digests of the code behind the recipe of an algorithm, where it is its own.
        environment: The other interpreter that it lives in; ``None`` for this one.
    """

    info: D_co
    name: str
    distribution: str
    version: str
    code: str
    dependencies: Mapping[str, str] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    recipe_code: tuple[str, ...] = ()
    environment: Environment | None = None

    def key(self) -> dict[str, Any]:
        """Return what of it enters a cell key."""
        key: dict[str, Any] = {
            "name": self.name,
            "options": dict(self.info.options),
            "version": self.version,
            "code": self.code,
        }
        if self.libraries:
            key["libraries"] = dict(self.libraries)
        if self.environment is not None:  # one plugin may be in several, with other versions
            key["dependencies"] = dict(self.dependencies)
        return key


def environments(
    algorithm: Part[AlgorithmInfo],
    encoder: Part[EncoderInfo] | None,
    metrics: Iterable[Part[MetricInfo]] = (),
) -> tuple[Environment, ...]:
    """Return the other interpreters that the parts of a cell need while it runs.

    Sources and frozen encoders have left their tensors in the store by then.

    Args:
        algorithm: The algorithm.
        encoder: The encoder, if there is one.
        metrics: The metrics.
    """
    parts: list[Part[Any]] = [algorithm, *metrics]
    if encoder is not None and encoder.info.trainable:
        parts.append(encoder)
    found = [part.environment for part in parts if part.environment is not None]
    return tuple({environment.executable: environment for environment in reversed(found)}.values())


@dataclass(frozen=True)
class Place:
    """Where a worker reads and writes, and how it computes.

    Attributes:
        store: The store's folder.
        data: The data directory, if one is set.
        device: ``auto`` or a torch device.
        precision: ``fp32`` or ``bf16``.
    """

    store: Path
    data: Path | None
    device: str
    precision: Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Prepared:
    """What the planner knows of a source or a frozen encoder after it was loaded once.

    Attributes:
        digest: The source's data digest, or the encoder's weights digest.
        files: ``(path, size, mtime_ns)`` of every file it was made from.
        sizes: For class pools, the number of examples of each class, by split.
        tasks: For task pools, the number of tasks, by split.
        notes: What was left out or decided while loading.
    """

    digest: str
    files: tuple[tuple[str, int, int], ...] = ()
    sizes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    tasks: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def current(self) -> bool:
        """Whether every file is as it was."""
        return all(stamp(Path(path)) == (path, size, time) for path, size, time in self.files)

    def to_json(self) -> str:
        """Return the text kept in the cache."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Prepared:
        """Read what ``to_json`` wrote."""
        values = json.loads(text)
        return cls(
            digest=values["digest"],
            files=tuple((p, s, t) for p, s, t in values["files"]),
            sizes={split: tuple(sizes) for split, sizes in values["sizes"].items()},
            tasks=values["tasks"],
            notes=tuple(values["notes"]),
        )


@dataclass(frozen=True)
class CellTask:
    """One open cell.

    Attributes:
        cell: Which cell it is.
        key: The cell key.
        key_parts: What the key is made of.
        source: The source.
        source_digest: The digest of its data.
        encoder: The encoder; ``None`` if the algorithm uses none.
        encoder_digest: The weights digest of a frozen encoder.
        algorithm: The algorithm.
        metric: The metric.
        other_metrics: Further metrics, which the record also holds.
        protocol: The protocol.
        place: Where to read and write.
        test_episodes: How many test episodes there will be, for estimates.
        notes: The source's notes.
    """

    cell: Cell
    key: str
    key_parts: Mapping[str, Any]
    source: Part[TaskSourceInfo]
    source_digest: str
    encoder: Part[EncoderInfo] | None
    encoder_digest: str
    algorithm: Part[AlgorithmInfo]
    metric: Part[MetricInfo]
    other_metrics: tuple[Part[MetricInfo], ...]
    protocol: Protocol
    place: Place
    test_episodes: int
    notes: tuple[str, ...] = ()

    @property
    def trainable(self) -> bool:
        """Whether meta-training updates the encoder."""
        return self.encoder is not None and self.encoder.info.trainable

    @property
    def environment(self) -> Environment | None:
        """The other interpreter that the cell runs in, if it needs one."""
        found = environments(self.algorithm, self.encoder, (self.metric, *self.other_metrics))
        return found[0] if found else None

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages of meta-training; a frozen encoder has no supervised one."""
        stages = self.algorithm.info.recipe.split("+")
        if "none" in stages or not self.protocol.budget:
            return ()
        return tuple(stage for stage in stages if self.trainable or stage != "supervised")

    @property
    def takes_maps(self) -> bool:
        """Whether the algorithm is given maps of local features."""
        wants = self.algorithm.info.features != "vector"
        return wants and self.encoder is not None and self.encoder.info.feature_map

    def checkpoint_key(self, stage: int) -> str:
        """What decides the weights after a stage: equal keys share a checkpoint.

        Args:
            stage: Number of the stage, from 0.
        """
        stages, protocol, parts = self.stages, self.protocol, self.key_parts
        done = stages[: stage + 1]
        seconds = protocol.seconds and protocol.seconds / len(stages)
        shared: dict[str, Any] = {
            "recipe": "+".join(done),
            "source": self.source_digest,
            "encoder": parts["encoder"],
            "seed": self.cell.seed,
            "precision": self.place.precision,
            "engine": protocol.engine,
            "budget": [protocol.budget // len(stages), seconds],
            "selection": [protocol.selections, protocol.patience, protocol.val_episodes],
        }
        if done == ("supervised",):
            shared["group_disjoint"] = protocol.group_disjoint
        else:
            shared["algorithm"] = parts["algorithm"]
            shared["sampling"] = asdict(protocol.sampling)
            shared["metric"] = parts["metric"]
        if (environment := self.environment) is not None:
            shared["environment"] = dict(environment.versions)
        return digest_of(shared)


def checkpoint_path(store: Path, key: str) -> Path:
    """Return the file of a checkpoint."""
    return store / "cache" / "weights" / f"{key[:32]}.safetensors"


def stamp(path: Path) -> tuple[str, int, int]:
    """Return a file's path, size and time of change; of a folder, those of what it holds."""
    try:
        if path.is_dir():
            inside = [entry.stat() for entry in path.rglob("*") if entry.is_file()]
            return (
                str(path),
                sum(s.st_size for s in inside),
                max((s.st_mtime_ns for s in inside), default=0),
            )
        status = path.stat()
    except OSError:
        return str(path), -1, -1
    return str(path), status.st_size, status.st_mtime_ns


def fingerprint(*parts: Any) -> str:
    """Return a short digest of plain values, for file names in the cache."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:24]


def source_index(store: Path, source: Part[TaskSourceInfo], data: Path | None) -> Path:
    """Return the cache file that describes a loaded source."""
    where = str(data.resolve()) if data is not None and source.info.files else ""
    name = fingerprint(source.key(), dict(source.dependencies), where)
    return store / "cache" / "sources" / f"{source.info.name}-{name}.json"


def encoder_index(store: Path, encoder: Part[EncoderInfo], source_digest: str) -> Path:
    """Return the cache file that describes a frozen encoder built for a source."""
    name = fingerprint(encoder.key(), dict(encoder.dependencies), source_digest)
    return store / "cache" / "encoders" / f"{encoder.info.name}-{name}.json"


def read_prepared(path: Path) -> Prepared | None:
    """Return what the cache knows, unless it is absent, damaged or out of date."""
    try:
        found = Prepared.from_json(path.read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.current() else None
