"""From a request to cells: sources crossed with protocols, encoders, algorithms and seeds."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from metabench.errors import InapplicableError, MetabenchError, UsageError, unknown_name
from metabench.hookspecs import AlgorithmInfo, EncoderInfo, MetricInfo, TaskSourceInfo
from metabench.registry.catalogue import Catalogue, Entry
from metabench.registry.targets import code_digest, missing_modules
from metabench.runs.protocol import Protocol
from metabench.runs.record import Cell, Status, digest_of
from metabench.runs.request import RunRequest
from metabench.runs.suite import Suite, find_suite
from metabench.runs.suite import Entry as SuiteEntry
from metabench.runs.tasks import CellTask, Part, Place, Prepared
from metabench.tasks.sampling import Sampling, eligible_classes

ANY = "*"


@dataclass(frozen=True)
class Verdict:
    """Why a cell will not be run.

    Attributes:
        status: ``inapplicable``, ``unavailable`` or ``failed``.
        reason: One line.
    """

    status: Status
    reason: str


@dataclass(frozen=True)
class Draft:
    """A cell before its source and encoder are known well enough for a key."""

    source: Part
    encoder: Part | None
    algorithm: Part
    metric: Part
    protocol: Protocol
    seed: int
    verdict: Verdict | None = None


@dataclass
class Knowledge:
    """What loading the sources and frozen encoders has told.

    Attributes:
        sources: By source name: what is known, or why it is not.
        encoders: By source and encoder name, for frozen encoders.
    """

    sources: dict[str, Prepared | Verdict] = field(default_factory=dict)
    encoders: dict[tuple[str, str], Prepared | Verdict] = field(default_factory=dict)


@dataclass(frozen=True)
class Planned:
    """A cell with its key, and a verdict if it will not be run."""

    task: CellTask
    verdict: Verdict | None


def draft_cells(request: RunRequest, catalogue: Catalogue) -> list[Draft]:
    """Cross the suite with the request.

    Args:
        request: What the user asked for.
        catalogue: What is installed.

    Returns:
        One draft per planned cell, sorted by source, protocol, encoder, algorithm and seed.

    Raises:
        UsageError: If a name is unknown, or nothing is left to run.
    """
    suite = find_suite(request.suite)
    for domain in request.domains:
        if domain not in catalogue.domains:
            raise unknown_name("domain", domain, catalogue.domains)
    named = {name: catalogue.source(name) for name in request.sources}
    drafts: list[Draft] = []
    for entry, source in _sources(suite, request, catalogue, named):
        drafts += _drafts_of_source(suite, entry, source, request, catalogue)
    if not drafts:
        raise UsageError(_nothing_left(suite, request))
    return sorted(drafts, key=_order)


def _sources(
    suite: Suite, request: RunRequest, catalogue: Catalogue, named: Mapping[str, Entry]
) -> Iterator[tuple[SuiteEntry, Entry]]:
    """Pair each chosen source with the suite's entry for it."""
    if suite.entries:
        pairs = [(e, catalogue.source(name)) for e in suite.entries for name in e.sources]
    else:
        pairs = [
            (_membership(suite, entry), entry)
            for name, entry in catalogue.sources.items()
            if suite.name in _source_info(entry).suites or name in named
        ]
    covered = {source.info.name for _, source in pairs}
    pairs += [
        (SuiteEntry(sources=(name,)), entry)
        for name, entry in named.items()
        if name not in covered
    ]
    for entry, source in pairs:
        chosen = not named or source.info.name in named
        if chosen and (not request.domains or _source_info(source).domain in request.domains):
            yield entry, source


def _membership(suite: Suite, source: Entry) -> SuiteEntry:
    settings = dict(_source_info(source).suites.get(suite.name, {}))
    shots = settings.pop("shots", ())
    return SuiteEntry(sources=(source.info.name,), shots=tuple(shots), protocol=settings)


def _drafts_of_source(
    suite: Suite, entry: SuiteEntry, source: Entry, request: RunRequest, catalogue: Catalogue
) -> Iterator[Draft]:
    info = _source_info(source)
    part = make_part(source, source.info.name)
    metric = make_part(catalogue.metric(info.metric), info.metric)
    encoders = _encoders(suite, entry, request, catalogue, info.modality)
    algorithms = _algorithms(suite, entry, request, catalogue)
    for shot in request.shots or entry.shots or suite.shots:
        protocol = suite.make_protocol(
            shot,
            info.metric,
            entry.protocol,
            request.protocol_changes,
        )
        for algorithm in algorithms:
            used = encoders if _algorithm_info(algorithm.info).uses_encoder else [None]
            for encoder in used:
                for seed in request.seeds or suite.seeds:
                    verdict = _verdict(info, encoder, algorithm)
                    yield Draft(part, encoder, algorithm, metric, protocol, seed, verdict)


def _encoders(
    suite: Suite, entry: SuiteEntry, request: RunRequest, catalogue: Catalogue, modality: str
) -> list[Part | None]:
    names = request.encoders or entry.encoders
    if not names:
        names = tuple(
            name
            for name, found in catalogue.encoders.items()
            if suite.name in _encoder_info(found.info).suites
            and _accepts(_encoder_info(found.info), modality)
        )
    if not names:  # a suite of the user's own, or a modality that no encoder of the suite accepts
        names = tuple(
            name
            for name, found in catalogue.encoders.items()
            if not _encoder_info(found.info).argument
            and _accepts(_encoder_info(found.info), modality)
        )
    return [make_part(catalogue.encoder(name), name) for name in names]


def _algorithms(
    suite: Suite, entry: SuiteEntry, request: RunRequest, catalogue: Catalogue
) -> list[Part]:
    names = request.algorithms or entry.algorithms
    if not names:
        names = tuple(
            name
            for name, found in catalogue.algorithms.items()
            if {suite.name, ANY} & set(_algorithm_info(found.info).suites)
        )
    return [make_part(catalogue.algorithm(name), name) for name in names]


def _verdict(source: TaskSourceInfo, encoder: Part | None, algorithm: Part) -> Verdict | None:
    """Decide what can be decided without loading anything."""
    learner = _algorithm_info(algorithm.info)
    if source.task_kind not in learner.task_kinds:
        kinds = ", ".join(learner.task_kinds)
        return Verdict("inapplicable", f"{learner.name} does {kinds}, not {source.task_kind}")
    if encoder is not None:
        coder = _encoder_info(encoder.info)
        if not _accepts(coder, source.modality):
            accepted = ", ".join(coder.modalities)
            return Verdict("inapplicable", f"{coder.name} encodes {accepted}, not {source.modality}")
        if learner.adapts_encoder and not coder.trainable:
            reason = f"{learner.name} adapts the encoder's weights and {coder.name} is frozen"
            return Verdict("inapplicable", reason)
    for info in (source, encoder.info if encoder else None, learner):
        if info is not None and (missing := missing_modules(info.requires)):
            remedy = f"pip install {' '.join(missing)}"
            return Verdict(
                "unavailable", f"{info.name} needs {', '.join(missing)}; run `{remedy}`"
            )
    return None


def resolve(draft: Draft, known: Knowledge, place: Place) -> Planned:
    """Give a draft its key and its final verdict.

    Args:
        draft: The cell.
        known: What loading has told.
        place: Where workers read and write.

    Returns:
        The planned cell.
    """
    verdict = draft.verdict
    source = known.sources.get(draft.source.name)
    encoder: Prepared | Verdict | None = None
    if draft.encoder is not None:
        encoder = known.encoders.get((draft.source.name, draft.encoder.name))
    notes: tuple[str, ...] = ()
    source_digest = encoder_digest = ""
    if isinstance(source, Prepared):
        source_digest, notes = source.digest, source.notes
        verdict = verdict or _feasible(source, draft.protocol.sampling)
    elif isinstance(source, Verdict):
        verdict = verdict or source
    if isinstance(encoder, Prepared):
        encoder_digest = encoder.digest
    elif isinstance(encoder, Verdict):
        verdict = verdict or encoder
    parts = _key_parts(draft, source_digest, encoder_digest, place)
    task = CellTask(
        cell=_cell(draft),
        key=digest_of(parts),
        key_parts=parts,
        source=draft.source,
        source_digest=source_digest,
        encoder=draft.encoder,
        encoder_digest=encoder_digest,
        algorithm=draft.algorithm,
        metric=draft.metric,
        protocol=draft.protocol,
        place=place,
        notes=notes,
    )
    return Planned(task, verdict)


def _feasible(source: Prepared, sampling: Sampling) -> Verdict | None:
    """Compare way and shots with the classes of the test split."""
    try:
        if (sizes := source.sizes.get("test")) is not None:
            eligible_classes("test", sizes, sampling)
    except InapplicableError as error:
        return Verdict("inapplicable", str(error))
    return None


def _key_parts(draft: Draft, source: str, encoder: str, place: Place) -> dict[str, Any]:
    encoder_key = draft.encoder.key() | {"weights": encoder} if draft.encoder else None
    return {
        "protocol": draft.protocol.digest,
        "source": {"name": draft.source.name, "digest": source},
        "encoder": encoder_key,
        "algorithm": draft.algorithm.key()
        | {"recipe": _algorithm_info(draft.algorithm.info).recipe},
        "metric": draft.metric.key(),
        "precision": place.precision,
        "seed": draft.seed,
    }


def _cell(draft: Draft) -> Cell:
    source, learner = draft.source.info, _algorithm_info(draft.algorithm.info)
    assert isinstance(source, TaskSourceInfo)
    metric, protocol = draft.metric.info, draft.protocol
    assert isinstance(metric, MetricInfo)
    policy: Any = "none"
    if draft.encoder is not None:
        policy = "trainable" if _encoder_info(draft.encoder.info).trainable else "frozen"
    chance = metric.chance
    if chance == "1/way":
        chance = 1.0 / protocol.sampling.least_way
    return Cell(
        domain=source.domain,
        source=source.name,
        task_kind=source.task_kind,
        encoder=draft.encoder.name if draft.encoder else "none",
        encoder_policy=policy,
        algorithm=draft.algorithm.name,
        protocol=protocol.name,
        protocol_digest=protocol.digest,
        way=str(protocol.way),
        shot=str(protocol.shot),
        metric=metric.name,
        chance=float(chance),
        best=metric.best,
        seed=draft.seed,
        inductive=learner.inductive,
        plugin=draft.algorithm.distribution,
        plugin_version=draft.algorithm.version,
    )


def make_part(entry: Entry, name: str) -> Part:
    """Return a descriptor with its origin and the digest of its code.

    Args:
        entry: From the catalogue.
        name: As the user wrote it; what follows a colon becomes the option ``argument``.

    Returns:
        The part of a cell key that it makes up.
    """
    info = entry.info
    _, colon, argument = name.partition(":")
    if colon:
        info = replace(info, options={**info.options, "argument": argument})
    try:
        code = code_digest(info.target)
    except MetabenchError:
        code = ""  # the worker says what is wrong with the target
    return Part(
        info=info,
        name=name,
        distribution=entry.plugin,
        version=entry.version,
        code=code,
        dependencies=_dependencies(entry.plugin),
    )


@lru_cache
def _dependencies(distribution: str) -> dict[str, str]:
    """Return the installed versions of a distribution's own requirements."""
    try:
        requirements = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    versions = {}
    for requirement in requirements:
        name = requirement.split(";")[0].split("[")[0].strip()
        for sign in "<>=!~ (":
            name = name.split(sign)[0]
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _order(draft: Draft) -> tuple[str, str, str, str, int]:
    encoder = draft.encoder.name if draft.encoder else ""
    return draft.source.name, draft.protocol.name, encoder, draft.algorithm.name, draft.seed


def _nothing_left(suite: Suite, request: RunRequest) -> str:
    chosen = ", ".join((*request.domains, *request.sources)) or "these plugins"
    return (
        f"suite {suite.name!r} has no source for {chosen}; "
        f"`metabench list sources` shows which suites each source belongs to"
    )


def _accepts(encoder: EncoderInfo, modality: str) -> bool:
    return ANY in encoder.modalities or modality in encoder.modalities


def _source_info(entry: Entry) -> TaskSourceInfo:
    assert isinstance(entry.info, TaskSourceInfo)
    return entry.info


def _encoder_info(info: object) -> EncoderInfo:
    assert isinstance(info, EncoderInfo)
    return info


def _algorithm_info(info: object) -> AlgorithmInfo:
    assert isinstance(info, AlgorithmInfo)
    return info
