"""The door: the hooks a plugin implements, and the inert descriptors it yields.

A plugin is a distribution with an entry point in the group ``metabench``. The entry point names a
module (or an object) whose functions are marked with ``hookimpl``. Each hook returns descriptors:
plain, typed data that name an implementation by ``target="package.module:Name"`` without importing
it, so that ``metabench list`` never loads torch or any other heavy dependency.

A complete plugin module::

    from metabench.hookspecs import AlgorithmInfo, hookimpl

    @hookimpl
    def metabench_algorithms():
        yield AlgorithmInfo(
            name="my-learner",
            summary="nearest class mean in a learned metric",
            target="my_package.learner:MyLearner",
            citation="Doe (2026), section 3",
            licence="MIT",
        )

The plugin API, which is all that this module offers, has a version of its own, `API_VERSION`. A
module may say which one it is written for by ``metabench_api = "1.0"``; a metabench that does not
offer that one leaves it out and says so. Additions raise the minor version: hooks get arguments,
which are passed by name, and descriptors get fields, which have defaults, so that what was written
before goes on working. What is to be removed warns for one minor version first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pluggy

if TYPE_CHECKING:
    from metabench.runs.record import Record

__all__ = [
    "API_VERSION",
    "PROTOCOL_SETTINGS",
    "AlgorithmInfo",
    "DataFile",
    "Descriptor",
    "EncoderInfo",
    "MetricInfo",
    "ReaderInfo",
    "TaskKind",
    "TaskSourceInfo",
    "hookimpl",
    "hookspec",
]

API_VERSION = "1.0"
"""``MAJOR.MINOR`` of the plugin API."""

PROJECT = "metabench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

TaskKind = Literal["classification", "binary", "regression"]

PROTOCOL_SETTINGS = frozenset(
    {
        "way", "query", "episodes", "draws", "support", "group_disjoint", "budget", "seconds",
        "val_episodes", "selections", "patience", "version",
    }
)  # fmt: skip
"""Settings of `metabench.runs.protocol.Protocol` that a source may bring along."""


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """What every plugin entry says of itself; importing nothing.

    Attributes:
        name: Unique among its kind; ``[a-z0-9][a-z0-9._+-]*``.
        summary: One line for ``metabench list``.
        target: ``package.module:Name`` of the implementation, imported when a cell needs it.
        citation: The paper or page that the entry implements.
        licence: SPDX identifier of the data, the weights or the code.
        options: Keyword arguments for the target, so that one implementation can serve several
            names. They are part of every cell key.
        requires: Importable modules that the target needs beyond metabench itself. A cell whose
            modules are missing is ``unavailable``.
    """

    name: str
    summary: str
    target: str
    citation: str = ""
    licence: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """One upstream file of a source that is not embedded.

    Attributes:
        path: Where it lies below the data directory, with forward slashes.
        url: Where ``metabench data fetch`` gets it; empty if it must be obtained by hand.
        sha256: The digest that upstream publishes; empty if none is known, and then the first
            download's digest is recorded and said.
    """

    path: str
    url: str = ""
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class TaskSourceInfo(Descriptor):
    """One data set of one domain that yields tasks.

    The target is called as ``target(context, **options)`` with a
    `metabench.tasks.files.SourceContext` and returns a `metabench.tasks.data.TaskData`.

    Attributes:
        domain: The kind of data that the source belongs to, such as ``vision``.
        modality: What its inputs are (``image``, ``text``, ...); encoders name what they accept.
        task_kind: What is predicted.
        metric: The metric that the source is scored by.
        other_metrics: Further metrics that are reported beside it.
        files: Upstream files; none for a source that is embedded or generated.
        synthetic: Whether the data are generated and stand in for nothing real.
        protocol: Protocol settings that hold for the source in every suite, such as
            ``{"group_disjoint": True}`` where items of one group are near-copies.
        suites: The named suites that include the source, each with the protocol settings in which
            the source departs from the suite's defaults, such as ``{"quick": {"way": 3}}``, and
            ``shots``, a list, if it does not take the suite's.
    """

    domain: str
    modality: str
    task_kind: TaskKind = "classification"
    metric: str = "accuracy"
    other_metrics: tuple[str, ...] = ()
    files: tuple[DataFile, ...] = ()
    synthetic: bool = False
    protocol: Mapping[str, Any] = field(default_factory=dict)
    suites: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ChosenInfo(Descriptor):
    """What users choose by name, and may complete by an argument: encoders and algorithms.

    Attributes:
        argument: What follows the name in ``name:ARGUMENT``, such as ``"model id or path"``; empty
            if nothing does. It reaches the target as the option ``argument``.
        libraries: Importable packages whose installed versions are part of every cell key, such as
            that from which the argument takes a part. An argument of the form
            ``package.module:Name`` adds its package by itself.
        suites: The named suites in which it is used by default; never with an argument.
    """

    argument: str = ""
    libraries: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EncoderInfo(ChosenInfo):
    """Raw inputs to embeddings.

    The target is called as ``target(spec, **options)`` with a
    `metabench.learners.contracts.InputSpec` and returns a
    `metabench.learners.contracts.Encoder`.

    Attributes:
        modalities: The modalities it accepts; ``"*"`` accepts every one.
        trainable: Whether meta-training updates its weights. Frozen encoders are applied once to
            every item of a source.
        feature_map: Whether it also gives maps of local features; only trainable encoders do.
    """

    modalities: tuple[str, ...]
    trainable: bool
    feature_map: bool = False


@dataclass(frozen=True, kw_only=True)
class AlgorithmInfo(ChosenInfo):
    """A few-shot learner.

    The target is a `metabench.learners.contracts.Algorithm` class; ``options`` are hyperparameters
    that differ from its defaults.

    Attributes:
        task_kinds: The kinds of task to which it applies.
        inductive: Whether each query is predicted from the support alone. A transductive learner,
            whose scores may depend on the other queries, says ``False``.
        adapts_encoder: Whether adaptation changes the encoder's weights; such a learner gets raw
            inputs instead of embeddings and needs a trainable encoder.
        uses_encoder: ``False`` for a learner that ignores its inputs; it is run once per source,
            not once per encoder.
        features: What it is given for an example: ``vector``, an embedding; ``map``, a map of local
            features, which not every encoder has; or ``map-if-any``, a map where there is one.
        recipe: How its weights are meta-trained: ``episodic`` (its own ``loss`` on episodes),
            ``supervised`` (the encoder is trained to classify all meta-train classes), ``none``,
            or ``package.module:Name`` of a `metabench.learners.recipes.Recipe`. Stages joined by
            ``+``, as in ``supervised+episodic``, share the budget evenly and each starts from the
            weights of the one before; a supervised stage is left out if the encoder is frozen.
        suites: The named suites that run it; ``"*"``, the default, is every suite.
    """

    task_kinds: tuple[TaskKind, ...] = ("classification",)
    inductive: bool = True
    adapts_encoder: bool = False
    uses_encoder: bool = True
    features: Literal["vector", "map", "map-if-any"] = "vector"
    recipe: str = "episodic"
    suites: tuple[str, ...] = ("*",)


@dataclass(frozen=True, kw_only=True)
class MetricInfo(Descriptor):
    """How the answers to one episode become one number.

    The target is called as ``target(answered)`` with a `metabench.learners.metrics.Answered`, a
    batch of episodes with their scores and targets; it returns ``[B]`` float64 values, NaN for an
    episode in which the metric is undefined and an infinity where the answers cannot be scored.

    Attributes:
        task_kinds: The kinds of task that it scores.
        best: The best possible value, which ``normalized`` maps to 1: a number, or
            ``"1-base-rate"``, one less the share of positives in the test queries.
        chance: The value of an uninformed learner, which ``normalized`` maps to 0: a number,
            ``"1/way"``, or ``"base-rate"``, the share of positives in the test queries.
    """

    task_kinds: tuple[TaskKind, ...]
    best: float | Literal["1-base-rate"] = 1.0
    chance: float | Literal["1/way", "base-rate"] = 0.0


@dataclass(frozen=True, kw_only=True)
class ReaderInfo(Descriptor):
    """How a user's own items become inputs of a modality.

    The target is called as ``target(**options)`` and returns a
    `metabench.tasks.reading.ItemReader`.

    Attributes:
        domain: The domain of the sources that are made with it, such as ``vision``.
        modality: What it makes, such as ``image``.
        suffixes: The files that it decodes, in lower case and with the dot: ``(".png", ".jpg")``.
        role: What a column of a table is called whose values it reads: ``text``, ``smiles``; empty
            if it reads files only.
    """

    domain: str
    modality: str
    suffixes: tuple[str, ...] = ()
    role: str = ""


@hookspec
def metabench_task_sources() -> Iterable[TaskSourceInfo]:  # type: ignore[empty-body]
    """Yield the task sources that the plugin adds.

    Version added: 0.1.

    Example::

        @hookimpl
        def metabench_task_sources():
            yield TaskSourceInfo(
                name="my-photos", summary="48 kinds of screws", domain="vision", modality="image",
                target="my_package.photos:photos", licence="CC0-1.0", suites={"quick": {"way": 5}},
            )
    """


@hookspec
def metabench_encoders() -> Iterable[EncoderInfo]:  # type: ignore[empty-body]
    """Yield the encoders that the plugin adds.

    Version added: 0.1.

    Example::

        @hookimpl
        def metabench_encoders():
            yield EncoderInfo(
                name="edges", summary="histogram of edge directions", modalities=("image",),
                trainable=False, target="my_package.edges:Edges", suites=("quick",),
            )
    """


@hookspec
def metabench_algorithms() -> Iterable[AlgorithmInfo]:  # type: ignore[empty-body]
    """Yield the algorithms that the plugin adds.

    Version added: 0.1.

    Example::

        @hookimpl
        def metabench_algorithms():
            yield AlgorithmInfo(
                name="nearest-mean", summary="nearest class mean",
                target="my_package.nearest:NearestMean", recipe="none",
            )
    """


@hookspec
def metabench_metrics() -> Iterable[MetricInfo]:  # type: ignore[empty-body]
    """Yield the metrics that the plugin adds.

    Version added: 0.1.

    Example::

        @hookimpl
        def metabench_metrics():
            yield MetricInfo(
                name="top2", summary="share of queries with the label among the best two",
                task_kinds=("classification",), target="my_package.top2:top2",
            )

        def top2(answered):  # in my_package/top2.py
            best = answered.scores.topk(2).indices
            return (best == answered.targets.unsqueeze(-1)).any(-1).double().mean(-1)
    """


@hookspec
def metabench_readers() -> Iterable[ReaderInfo]:  # type: ignore[empty-body]
    """Yield the readers that the plugin adds: how users' own files become inputs.

    Version added: 0.1.

    Example::

        @hookimpl
        def metabench_readers():
            yield ReaderInfo(
                name="scans", summary="slices of medical scans", domain="vision",
                modality="image", suffixes=(".dcm",), target="my_package.scans:ScanReader",
            )
    """


@hookspec
def metabench_run_started(cells: int, store: str) -> None:
    """Observe that a run begins.

    Version added: 0.1.

    Args:
        cells: How many cells are about to be run; those already answered are not counted.
        store: The folder of the store.
    """


@hookspec
def metabench_cell_finished(record: Record) -> None:
    """Observe one finished cell, in the process that plans the run.

    Version added: 0.1.

    Args:
        record: What the cell left behind, whatever its status.
    """


@hookspec
def metabench_run_finished(store: str, tables: tuple[str, ...]) -> None:
    """Observe that a run ended and its tables are written.

    Version added: 0.1.

    Args:
        store: The folder of the store.
        tables: The paths of the CSV files.
    """
