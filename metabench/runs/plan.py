"""From a request to cells: sources crossed with protocols, encoders, algorithms and seeds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from metabench.errors import UsageError, unknown_name
from metabench.hookspecs import AlgorithmInfo, EncoderInfo, MetricInfo, TaskSourceInfo
from metabench.registry.catalogue import Catalogue, Entry
from metabench.runs.outcomes import Verdict
from metabench.runs.parts import make_part, with_variants
from metabench.runs.protocol import Protocol
from metabench.runs.record import Cell, digest_of
from metabench.runs.request import RunRequest
from metabench.runs.suite import Entry as SuiteEntry
from metabench.runs.suite import Suite, find_suite
from metabench.runs.tasks import CellTask, Part, Place, Prepared
from metabench.runs.verdicts import accepts, first_verdict, shape_verdict

ANY = "*"
ALL = "all"
"""Asked for as an algorithm: every one that is installed, whatever the suite runs by itself."""
BORROWED_FROM = "standard"
SHAPES = frozenset({"shots", "way", "query", "draws", "support", "group_disjoint"})
"""Settings that a source keeps in a suite that it does not belong to."""

SourceEntry = Entry[TaskSourceInfo]
SourcePart = Part[TaskSourceInfo]
EncoderPart = Part[EncoderInfo]
AlgorithmPart = Part[AlgorithmInfo]


@dataclass(frozen=True)
class Draft:
    """A cell before its source and encoder are known well enough for a key."""

    source: SourcePart
    encoder: EncoderPart | None
    algorithm: AlgorithmPart
    metric: Part[MetricInfo]
    other_metrics: tuple[Part[MetricInfo], ...]
    protocol: Protocol
    seed: int
    verdict: Verdict | None = None

    @property
    def order(self) -> tuple[str, str, str, str, int]:
        """Where the cell stands in the plan; cells that share a checkpoint are neighbours."""
        encoder = self.encoder.name if self.encoder else ""
        return self.source.name, self.protocol.name, encoder, self.algorithm.name, self.seed


@dataclass
class Knowledge:
    """What loading the sources and preparing them for the encoders has told.

    Attributes:
        sources: By source name: what is known, or why it is not.
        encoders: By source and encoder name.
    """

    sources: dict[str, Prepared | Verdict] = field(default_factory=dict)
    encoders: dict[tuple[str, str], Prepared | Verdict] = field(default_factory=dict)


@dataclass(frozen=True)
class Planned:
    """A cell with its key, and a verdict if it will not be run."""

    task: CellTask
    verdict: Verdict | None


@dataclass(frozen=True)
class _Choice:
    """What the user and the suite choose from what is installed."""

    suite: Suite
    request: RunRequest
    catalogue: Catalogue


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
    catalogue = with_variants(catalogue, suite, request.variants)
    for domain in request.domains:
        if domain not in catalogue.domains:
            raise unknown_name("domain", domain, catalogue.domains)
    choice = _Choice(suite, request, catalogue)
    chosen = list(_sources(choice))
    _check_all_chosen(suite, request, {source.info.domain for _, source in chosen})
    # An algorithm is read from disk for its digest: once, not once for each source.
    parts = {
        name: make_part(catalogue.algorithm(name), name)
        for entry, _ in chosen
        for name in _algorithms(choice, entry)
    }
    drafts = {
        (draft.protocol.digest, *draft.order): draft
        for entry, source in chosen
        for draft in _drafts_of_source(choice, entry, source, parts)
    }
    return sorted(drafts.values(), key=lambda draft: (draft.order, draft.protocol.digest))


def _sources(choice: _Choice) -> Iterator[tuple[SuiteEntry, SourceEntry]]:
    """Pair each chosen source with the suite's entry for it."""
    suite, request, catalogue = choice.suite, choice.request, choice.catalogue
    named = {name: catalogue.source(name) for name in request.sources}
    if suite.entries:
        pairs = [(e, catalogue.source(name)) for e in suite.entries for name in e.sources]
    else:
        pairs = [
            (_membership(suite, entry), entry)
            for name, entry in catalogue.sources.items()
            if suite.name in entry.info.suites or name in named
        ]
    covered = {source.info.name for _, source in pairs}
    pairs += [
        (_membership(suite, entry), entry) for name, entry in named.items() if name not in covered
    ]
    for entry, source in pairs:
        chosen = not named or source.info.name in named
        if chosen and (not request.domains or source.info.domain in request.domains):
            yield entry, source


def _check_all_chosen(suite: Suite, request: RunRequest, domains: Collection[str]) -> None:
    """Refuse to leave out what the user asked for."""
    missing = [domain for domain in request.domains if domain not in domains]
    if not missing and domains:
        return
    which = "" if not missing else f" of the domain {' or '.join(map(repr, missing))}"
    if request.sources:
        raise UsageError(f"--sources {','.join(request.sources)} names no source{which}")
    raise UsageError(
        f"suite {suite.name!r} has no source{which}; name one with --sources, "
        "`metabench list sources` shows them"
    )


def _membership(suite: Suite, source: SourceEntry) -> SuiteEntry:
    """Return a source's settings in a suite; outside it, the shapes of its tasks elsewhere."""
    suites = source.info.suites
    settings = dict(suites.get(suite.name, {}))
    if suite.name not in suites and suites:
        borrowed = suites[min(suites, key=lambda name: (name != BORROWED_FROM, name))]
        settings = {name: value for name, value in borrowed.items() if name in SHAPES}
    shots = settings.pop("shots", ())
    return SuiteEntry(sources=(source.info.name,), shots=tuple(shots), protocol=settings)


def _drafts_of_source(
    choice: _Choice, entry: SuiteEntry, source: SourceEntry, parts: Mapping[str, AlgorithmPart]
) -> Iterator[Draft]:
    suite, request, catalogue = choice.suite, choice.request, choice.catalogue
    info = source.info
    part = make_part(source, info.name)
    metric, *others = (
        make_part(catalogue.metric(name), name)
        for name in dict.fromkeys((info.metric, *info.other_metrics))
    )
    if request.encoders and not _placed(request.encoders, entry.encoders, suite, "encoders"):
        return
    encoders: list[EncoderPart | None] = [
        make_part(catalogue.encoder(name), name) for name in _encoders(choice, entry, info.modality)
    ]
    algorithms = [parts[name] for name in _algorithms(choice, entry)]
    seeds = request.seeds or suite.seeds
    for shot in request.shots or entry.shots or suite.shots:
        settings = {**info.protocol, **entry.protocol}
        protocol = suite.make_protocol(
            shot, info.metric, settings, request.protocol_changes, info.task_kind
        )
        for algorithm in algorithms:
            for encoder in encoders or [None] if algorithm.info.uses_encoder else [None]:
                verdict = first_verdict(part, encoder, algorithm, (metric, *others))
                for seed in seeds:
                    yield Draft(
                        part, encoder, algorithm, metric, tuple(others), protocol, seed, verdict
                    )


def _encoders(choice: _Choice, entry: SuiteEntry, modality: str) -> tuple[str, ...]:
    asked = _placed(choice.request.encoders, entry.encoders, choice.suite, "encoders")
    if names := asked or entry.encoders:
        return names
    usable = {
        name: found.info
        for name, found in choice.catalogue.encoders.items()
        if accepts(found.info, modality)
    }
    of_suite = tuple(name for name, info in usable.items() if choice.suite.name in info.suites)
    # A suite of the user's own, or a modality that no encoder of the suite accepts.
    return of_suite or tuple(name for name, info in usable.items() if not info.argument)


def _algorithms(choice: _Choice, entry: SuiteEntry) -> tuple[str, ...]:
    known = choice.catalogue.algorithms
    complete = tuple(name for name, found in known.items() if not found.info.argument)
    if asked := choice.request.algorithms:
        asked = complete if asked == (ALL,) else asked
        return _placed(asked, entry.algorithms, choice.suite, "algorithms")
    return entry.algorithms or tuple(
        name for name in complete if {choice.suite.name, ANY} & set(known[name].info.suites)
    )


def _placed(
    asked: Sequence[str],
    own: Sequence[str],
    suite: Suite,
    kind: Literal["encoders", "algorithms"],
) -> tuple[str, ...]:
    """Return what is asked for and not placed by the suite in other entries only.

    An entry that names its algorithms fits its budget and shots to them; what no entry names, or an
    entry without names, goes anywhere.
    """
    placed = {name for entry in suite.entries for name in getattr(entry, kind)} if own else set()
    return tuple(name for name in asked if name in own or name not in placed)


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
    episodes = draft.protocol.episodes
    if isinstance(source, Prepared):
        episodes = draft.protocol.draws * source.tasks.get("test", 0) or episodes
        source_digest, notes = source.digest, source.notes
        verdict = verdict or shape_verdict(draft.source, source, draft.protocol.sampling)
    elif isinstance(source, Verdict):
        verdict = verdict or source
    if isinstance(encoder, Prepared):
        encoder_digest = encoder.digest
    elif isinstance(encoder, Verdict):
        verdict = verdict or encoder
    parts = key_parts_of(draft, source_digest, encoder_digest, place.precision)
    task = CellTask(
        cell=cell_of(draft),
        key=digest_of(parts),
        key_parts=parts,
        source=draft.source,
        source_digest=source_digest,
        encoder=draft.encoder,
        encoder_digest=encoder_digest,
        algorithm=draft.algorithm,
        metric=draft.metric,
        other_metrics=draft.other_metrics,
        protocol=draft.protocol,
        place=place,
        test_episodes=episodes,
        notes=notes,
    )
    return Planned(task, verdict)


def key_parts_of(draft: Draft, source: str, encoder: str, precision: str) -> dict[str, Any]:
    """Return everything that moves a score. What a descriptor says of a learner is used: it counts.

    Args:
        draft: The cell.
        source: The digest of the source's data.
        encoder: The weights digest of a frozen encoder.
        precision: Of the encoder's arithmetic.
    """
    kind, coder, learner = draft.source.info, draft.encoder, draft.algorithm
    encoder_key = None
    if coder is not None:
        encoder_key = coder.key() | {"trainable": coder.info.trainable, "weights": encoder}
    recipe = learner.info.recipe
    parts: dict[str, Any] = {
        "protocol": draft.protocol.digest,
        "source": {"name": kind.name, "task_kind": kind.task_kind, "digest": source},
        "encoder": encoder_key,
        "algorithm": learner.key()
        | {
            "recipe": recipe,
            "recipe_code": list(learner.recipe_code),
            "features": learner.info.features,
            "inductive": learner.info.inductive,
            "adapts_encoder": learner.info.adapts_encoder,
        },
        "metric": draft.metric.key()
        | {"best": draft.metric.info.best, "chance": draft.metric.info.chance},
        "precision": precision,
        "seed": draft.seed,
    }
    if draft.other_metrics:
        parts["other_metrics"] = [metric.key() for metric in draft.other_metrics]
    return parts


def cell_of(draft: Draft) -> Cell:
    """Return the cell as far as it is known before its test episodes are.

    Args:
        draft: The cell.
    """
    source, encoder, learner = draft.source.info, draft.encoder, draft.algorithm
    metric, protocol = draft.metric.info, draft.protocol
    policy: Literal["trainable", "frozen", "none"] = "none"
    if encoder is not None:
        policy = "trainable" if encoder.info.trainable else "frozen"
    # Limits that hang on the test episodes are known once the worker has seen these.
    chance = metric.chance if isinstance(metric.chance, float | int) else 0.0
    if metric.chance == "1/way":
        chance = 1 / protocol.sampling.least_way
    best = metric.best if isinstance(metric.best, float | int) else 1.0
    return Cell(
        domain=source.domain,
        source=source.name,
        task_kind=source.task_kind,
        encoder=encoder.name if encoder else "none",
        encoder_policy=policy,
        algorithm=learner.name,
        protocol=protocol.name,
        protocol_digest=protocol.digest,
        way=str(protocol.way),
        shot=str(protocol.shot),
        metric=metric.name,
        chance=float(chance),
        best=float(best),
        seed=draft.seed,
        inductive=learner.info.inductive,
        plugin=learner.distribution,
        plugin_version=learner.version,
    )
