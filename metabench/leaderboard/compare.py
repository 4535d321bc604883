"""Two algorithms side by side, on the test episodes that both met."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metabench.errors import MetabenchError, UsageError, unknown_name
from metabench.leaderboard.diff import describe_difference
from metabench.leaderboard.estimate import Estimate, estimate, estimate_sources
from metabench.leaderboard.evidence import Evidence, Scored, gather
from metabench.leaderboard.statistics import FloatArray, mean_over_seeds

if TYPE_CHECKING:
    from metabench.leaderboard.estimate import Sides
    from metabench.runs.store import Store

_REFERENCE = "none"


@dataclass(frozen=True)
class BlockComparison:
    """The two on one source, under one protocol, with one encoder.

    Attributes:
        domain: The domain.
        source: The source.
        protocol: The protocol's name.
        encoder: The encoder; that of the other one where an algorithm uses none.
        metric: What the means are of.
        mean_first: Mean of the first algorithm over the shared seeds.
        mean_second: Mean of the second.
        estimate: Their difference, in the metric's unit and turned so that more is better for the
            first.
    """

    domain: str
    source: str
    protocol: str
    encoder: str
    metric: str
    mean_first: float
    mean_second: float
    estimate: Estimate


@dataclass(frozen=True)
class SourceComparison:
    """The two on one source: all its protocols and encoders together, in normalised scores.

    Attributes:
        domain: The domain.
        source: The source.
        estimate: The difference of the normalised scores.
    """

    domain: str
    source: str
    estimate: Estimate


@dataclass(frozen=True)
class Comparison:
    """What two algorithms' records say of their difference; positive is good for the first.

    Attributes:
        first: An algorithm.
        second: Another.
        blocks: Per source, protocol and encoder.
        sources: Per source.
        overall: Over the sources, each counting once; ``None`` with one.
        messages: What a reader must know: what was left out and why.
    """

    first: str
    second: str
    blocks: tuple[BlockComparison, ...]
    sources: tuple[SourceComparison, ...]
    overall: Estimate | None
    messages: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Pair:
    """One seed of both."""

    first: Evidence
    second: Evidence
    encoder: str

    @property
    def place(self) -> tuple[str, ...]:
        cell = self.first.cell
        return (cell.domain, cell.source, cell.protocol, cell.protocol_digest, self.encoder)

    def scores(self, *, normalized: bool = False) -> tuple[FloatArray, FloatArray]:
        assert self.first.scores is not None
        assert self.second.scores is not None
        one, two = self.first.scores[0], self.second.scores[0]
        if normalized:
            chance, best = self.first.chance, self.first.best
            return (one - chance) / (best - chance), (two - chance) / (best - chance)
        return one, two


def compare(
    scored: Iterable[Scored],
    first: str,
    second: str,
    *,
    sources: Collection[str] = (),
    encoders: Collection[str] = (),
) -> Comparison:
    """Compare two algorithms on the episodes that both met, seed by seed.

    Args:
        scored: Records; those of other algorithms are passed over.
        first: An algorithm.
        second: Another.
        sources: Only these; all if empty.
        encoders: Only these; all if empty.

    Returns:
        Their differences per block, per source and over all sources.

    Raises:
        UsageError: If a name is unknown among the records, or both are the same.
        MetabenchError: If the two have no test episodes in common, with what sets them apart.
    """
    if first == second:
        raise UsageError(f"compare takes two different algorithms, and both are {first!r}")
    records = [one for one in scored if one.record.cell.algorithm in {first, second}]
    for name in (first, second):
        if not any(one.record.cell.algorithm == name for one in records):
            raise MetabenchError(f"there are no records of {name}")
    records = _only("source", records, sources)
    records = _only("encoder", records, encoders)
    cells, messages = _cells(records)
    pairs, left_out = _pair(*([c for c in cells if c.cell.algorithm == n] for n in (first, second)))
    if not pairs:
        raise MetabenchError(_nothing_shared(cells, first, second, left_out))
    blocks: dict[tuple[str, ...], list[_Pair]] = defaultdict(list)
    by_source: dict[tuple[str, ...], list[_Pair]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda pair: (*pair.place, pair.first.cell.seed)):
        blocks[pair.place].append(pair)
        by_source[pair.place[:2]].append(pair)
    sides = {place: _source_sides(found) for place, found in by_source.items()}
    of_sources = tuple(
        SourceComparison(place[0], place[1], estimate(found, unit=by_source[place][0].first.unit))
        for place, found in sides.items()
        if found is not None
    )
    differences = [one.estimate.difference for one in of_sources]
    return Comparison(
        first=first,
        second=second,
        blocks=tuple(_block(place, found) for place, found in blocks.items()),
        sources=of_sources,
        overall=estimate_sources(differences) if len(differences) > 1 else None,
        messages=tuple(sorted({*messages, *left_out, *_views(pairs)})),
    )


def compare_store(
    store: Store,
    first: str,
    second: str,
    *,
    sources: Collection[str] = (),
    encoders: Collection[str] = (),
) -> Comparison:
    """Compare two algorithms by the records of a store; see `compare`.

    Raises:
        UsageError: If an algorithm has no records, with the nearest that have.
    """
    known = store.algorithms()
    for name in (first, second):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise UsageError(
                f"{store.root} holds no records of the algorithm {name!r}; {hint}`metabench run "
                f"--algorithms {first},{second} --store {store.root}` makes those of algorithms "
                "that are installed"
            )
    records = store.scan_scored((first, second))
    return compare(records, first, second, sources=sources, encoders=encoders)


def _only(kind: str, records: list[Scored], wanted: Collection[str]) -> list[Scored]:
    if not wanted:
        return records
    known = {getattr(one.record.cell, kind) for one in records}
    for name in wanted:
        if name not in known:
            raise unknown_name(kind, name, known)
    # Whoever uses no encoder is compared beside every one.
    also = {_REFERENCE} if kind == "encoder" else set()
    return [one for one in records if getattr(one.record.cell, kind) in {*wanted, *also}]


def _cells(records: Sequence[Scored]) -> tuple[list[Evidence], list[str]]:
    """One piece of evidence per cell; of several records of one the leaderboard's choice."""
    seeds: dict[int, list[Scored]] = defaultdict(list)
    for one in records:
        seeds[one.record.cell.seed].append(one)
    cells: list[Evidence] = []
    messages: list[str] = []
    for found in seeds.values():
        evidence, said = gather(found)
        cells.extend(evidence)
        messages.extend(said)
    return cells, messages


def _pair(first: Sequence[Evidence], second: Sequence[Evidence]) -> tuple[list[_Pair], list[str]]:
    """Pair cells of one source, protocol, seed and encoder; say which could not be.

    What one of them does not apply to is told only where there is nothing else to tell.
    """
    others: dict[tuple[str, str, str, int], list[Evidence]] = defaultdict(list)
    for evidence in second:
        others[_meeting(evidence)].append(evidence)
    pairs: list[_Pair] = []
    left_out: dict[str, bool] = {}
    for one in first:
        for two in others.get(_meeting(one), []):
            encoders = {one.cell.encoder, two.cell.encoder} - {_REFERENCE}
            if len(encoders) > 1:
                continue
            why = _obstacle(one, two)
            if why:
                inapplicable = "inapplicable" in {one.status, two.status}
                left_out[f"{_where(one)}, seed {one.cell.seed}: {why}"] = inapplicable
            else:
                pairs.append(_Pair(one, two, min(encoders, default=_REFERENCE)))
    told = [why for why, inapplicable in left_out.items() if not inapplicable]
    return pairs, told or ([] if pairs else list(left_out))


def _meeting(evidence: Evidence) -> tuple[str, str, str, int]:
    cell = evidence.cell
    return (cell.domain, cell.source, cell.protocol_digest, cell.seed)


def _where(evidence: Evidence) -> str:
    return f"{evidence.cell.source} / {evidence.protocol}"


def _obstacle(one: Evidence, two: Evidence) -> str:
    """Why two cells that meet cannot be compared; empty if they can."""
    for evidence in (one, two):
        if evidence.scores is None:
            return f"{evidence.cell.algorithm} is {evidence.status} ({evidence.reason})"
    if one.episodes_digest != two.episodes_digest or not one.episodes_digest:
        digests = " or ".join((e.episodes_digest[:8] or "none") for e in (one, two))
        return f"other test episodes (digest {digests})"
    scales = [(e.cell.metric, e.chance, e.best) for e in (one, two)]
    if scales[0] != scales[1]:
        return f"other metrics ({one.cell.metric} or {two.cell.metric}), or another scale"
    if one.lengths != two.lengths:
        return f"{one.lengths[0]} or {two.lengths[0]} scores on the same episodes"
    return ""


def _block(place: tuple[str, ...], pairs: Sequence[_Pair]) -> BlockComparison:
    sides = _sides([pair.scores() for pair in pairs])
    evidence = pairs[0].first
    means = [mean_over_seeds(side) for side in sides]
    turned = sides if evidence.higher_is_better else (-sides[0], -sides[1])
    return BlockComparison(
        domain=place[0],
        source=place[1],
        protocol=place[2],
        encoder=place[4],
        metric=evidence.cell.metric,
        mean_first=means[0] or 0.0,
        mean_second=means[1] or 0.0,
        estimate=estimate(turned, unit=evidence.unit),
    )


def _sides(pairs: Sequence[tuple[FloatArray, FloatArray]]) -> Sides:
    """Stack seeds; shorter ones are filled with NaN."""
    longest = max(len(one) for one, _ in pairs)
    stack = np.full((2, len(pairs), longest), np.nan)
    for seed, (one, two) in enumerate(pairs):
        stack[0, seed, : len(one)] = one
        stack[1, seed, : len(two)] = two
    return stack[0], stack[1]


def _source_sides(pairs: Sequence[_Pair]) -> Sides | None:
    """Per seed all episodes of a source in a row, averaged over encoders that met the same ones.

    ``None`` without a scale that makes protocols comparable.
    """
    seeds: dict[int, dict[str, list[tuple[FloatArray, FloatArray]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for pair in pairs:
        if pair.first.best == pair.first.chance:
            return None
        episodes = pair.first.cell.protocol_digest
        seeds[pair.first.cell.seed][episodes].append(pair.scores(normalized=True))
    rows = []
    for protocols in seeds.values():
        # An episode counts where both are defined with every encoder.
        averaged = [np.mean(np.array(found), axis=0) for found in protocols.values()]
        joined = np.concatenate(averaged, axis=1)
        rows.append((joined[0], joined[1]))
    return _sides(rows)


def _views(pairs: Sequence[_Pair]) -> list[str]:
    """Warn of a comparison between one that sees all queries at once and one that does not."""
    kinds = {(pair.first.cell.inductive, pair.second.cell.inductive) for pair in pairs}
    cell, other = pairs[0].first.cell, pairs[0].second.cell
    if not any(one != two for one, two in kinds):
        return []
    name = cell.algorithm if not cell.inductive else other.algorithm
    return [f"{name} is transductive: it sees all queries of a task at once, the other does not"]


def _nothing_shared(
    cells: Sequence[Evidence], first: str, second: str, left_out: Sequence[str]
) -> str:
    """Say what keeps two algorithms apart: no scores, sources, protocols, seeds or encoders."""
    start = f"{first} and {second} have no test episodes in common"
    if left_out:
        more = f"; {len(left_out) - 1} more like it" if len(left_out) > 1 else ""
        return f"{start}: {left_out[0]}{more}"
    sides = [[c for c in cells if c.cell.algorithm == name] for name in (first, second)]
    names = dict(zip((first, second), sides, strict=True))
    shared = {c.cell.source for c in sides[0]} & {c.cell.source for c in sides[1]}
    if not shared:
        return f"{start}: {_each(names, 'source')}"
    near = {name: [c for c in side if c.cell.source in shared] for name, side in names.items()}
    digests = [{(c.cell.source, c.cell.protocol_digest) for c in side} for side in near.values()]
    if not digests[0] & digests[1]:
        return f"{start}: on {min(shared)} their protocols differ{_settings(near, min(shared))}"
    for kind in ("seed", "encoder"):
        found = [{getattr(c.cell, kind) for c in side} for side in near.values()]
        if not found[0] & found[1]:
            return f"{start}: {_each(near, kind)}"
    return f"{start}: no source, protocol, encoder and seed of the one is also the other's"


def _each(sides: Mapping[str, Sequence[Evidence]], kind: str) -> str:
    parts = []
    for name, side in sides.items():
        values = sorted({getattr(c.cell, kind) for c in side})
        listed = ", ".join(map(str, values))
        parts.append(
            f"{name} has the {kind}s {listed}" if values else f"{name} has no records there"
        )
    return "; ".join(parts)


def _settings(sides: Mapping[str, Sequence[Evidence]], source: str) -> str:
    protocols = []
    for side in sides.values():
        record = next(c.records[0] for c in side if c.cell.source == source)
        held = record.provenance.get("protocol")
        protocols.append(held if isinstance(held, Mapping) else {})
    lines = describe_difference(*protocols)
    return f" ({'; '.join(lines)})" if lines else ""
