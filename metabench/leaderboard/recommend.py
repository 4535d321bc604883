"""Which learner and encoder to use on a source, how good it will be, and how sure that is."""

from __future__ import annotations

import math
import shlex
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from metabench.errors import MetabenchError, UsageError, unknown_name
from metabench.leaderboard.audits import Audited, read_audits
from metabench.leaderboard.blocks import REFERENCE
from metabench.leaderboard.current import left_out, of_latest_data
from metabench.leaderboard.estimate import estimate
from metabench.leaderboard.printed import unanswered
from metabench.leaderboard.ranking import rank_intervals
from metabench.leaderboard.recommendation import (
    TASKS,
    Candidate,
    Expected,
    OtherShot,
    Recommendation,
    Rival,
)
from metabench.leaderboard.selection import choose, optimism
from metabench.leaderboard.statistics import FloatArray, can_vary
from metabench.leaderboard.tables import BlockKey, Entry, Tables, build_tables
from metabench.runs.kept import own_run
from metabench.runs.record import own_data_words

if TYPE_CHECKING:
    from metabench.runs.record import Record
    from metabench.runs.store import Store


def recommend_store(
    store: Store, *, source: str = "", shot: str = "", together: bool = False
) -> Recommendation:
    """Recommend by the records of a store; see `recommend` and `source_tables`.

    Raises:
        UsageError: If the store has no records, or several sources and none is named.
    """
    tables, source, _ = source_tables(store, source)
    return recommend(tables, source, shot=shot, together=together)


def recommend_run(store: Store, records: Iterable[Record], source: str) -> Recommendation:
    """Recommend by the records of one run alone; see `recommend`.

    Args:
        store: The store that holds their scores.
        records: The run's records.
        source: The source.
    """
    mine = [record for record in records if record.cell.source == source]
    return recommend(_tables(store, mine), source)


def source_tables(store: Store, source: str = "") -> tuple[Tables, str, tuple[str, ...]]:
    """Reduce the records of one source, on its data as of last, to tables.

    Args:
        store: The store.
        source: The source; may be left out if the store has one only.

    Returns:
        Its tables, its name, and a line that says what was left out, if anything was.

    Raises:
        UsageError: If the store has no records, or several sources and none is named.
    """
    names = store.sources()
    if not names:
        raise UsageError(
            f"{store.root} holds no records; `metabench run --store {store.root}` makes some"
        )
    if source and source not in names:
        raise unknown_name("source", source, names)
    if not source and len(names) > 1:
        raise UsageError(
            f"{store.root} holds records of {len(names)} sources; name one with --source: "
            f"{', '.join(names)}"
        )
    source = source or names[0]
    kept = own_run(store.root, source)
    records, number = of_latest_data(store.scan(source=source), kept.digest if kept else "")
    tables, told = _tables(store, records), left_out(number, source)
    return replace(tables, messages=(*told, *tables.messages)), source, told


def _tables(store: Store, records: Iterable[Record]) -> Tables:
    audits, _ = read_audits(store.root)
    return build_tables((store.scored(record) for record in records), Audited(audits))


def recommend(
    tables: Tables, source: str, *, shot: str = "", together: bool = False
) -> Recommendation:
    """Recommend a learner and an encoder for a source.

    The cheapest of those within one standard error of the best mean is picked (`choose`), and what
    being picked adds to its mean is taken off (`optimism`). What ignores its inputs is no
    candidate.

    Args:
        tables: The tables of a store.
        source: The source.
        shot: Labelled examples per class; by default the largest number that has scores.
        together: Whether all queries of a task come at once, so that transductive learners count.

    Raises:
        UsageError: If the source or the shot is not in the tables.
        MetabenchError: If nothing there has a number.
    """
    entries = [entry for entry in tables.entries if entry.row.source == source]
    if not entries:
        raise unknown_name("source", source, {entry.row.source for entry in tables.entries})
    blocks = _by_shot(entries)
    if not blocks:
        raise MetabenchError(_nothing(entries, source))
    if shot and shot not in blocks:
        tried = ", ".join(sorted(blocks, key=_number))
        raise UsageError(
            f"{source} has no scores with --shots {shot}; it has them with {tried}. Run it: "
            f"metabench run {_flags(entries[0])} --shots {shot}"
        )
    shot = shot or max(blocks, key=_number)
    return _Question(entries, blocks, shot, together=together).answer(tables.messages)


def _by_shot(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Per number of examples the rows with a number, of the block that has most of them.

    The rows are of one state of the data, see `source_tables`.
    """
    blocks: dict[str, dict[BlockKey, list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        if entry.block is not None:
            blocks[entry.row.shot][entry.block].append(entry)
    return {shot: max(found.values(), key=len) for shot, found in blocks.items()}


def _flags(entry: Entry) -> str:
    """Name a source to ``metabench run``: a user's own data by the flags that were given."""
    words = own_data_words(entry.evidence.records[0].provenance)
    return shlex.join(words or ["--sources", entry.row.source])


def _number(shot: str) -> float:
    return float(shot) if shot.isdecimal() else math.inf


def _nothing(entries: Sequence[Entry], source: str) -> str:
    found = unanswered([entry.row for entry in entries], 3)
    status, who, why = found[0]
    more = f"; {len(found) - 1} more like it" if len(found) > 1 else ""
    return f"nothing on {source} has a score: {who}: {status} ({why}){more}"


def candidate_of(entry: Entry) -> Candidate:
    """Describe a row with a number."""
    row = entry.row
    assert row.mean is not None
    known = row.train_seconds is not None and row.adapt_ms_per_task is not None
    cost = (row.train_seconds or 0.0) + TASKS * (row.adapt_ms_per_task or 0.0) / 1000
    return Candidate(
        algorithm=row.algorithm,
        encoder=row.encoder,
        mean=row.mean,
        inductive=row.inductive,
        train_seconds=row.train_seconds,
        adapt_ms=row.adapt_ms_per_task,
        cost_seconds=cost if known else None,
    )


class _Question:
    """One source with one number of examples.

    Args:
        entries: All rows of the source.
        blocks: Rows with a number, by number of examples.
        shot: The number in question.
        together: Whether all queries of a task come at once.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        blocks: dict[str, list[Entry]],
        shot: str,
        *,
        together: bool,
    ) -> None:
        self._entries = entries
        self._blocks = blocks
        self._shot = shot
        informed = [entry for entry in blocks[shot] if _looks(entry)]
        self._own = [entry for entry in informed if together or entry.row.inductive]
        self._others = [entry for entry in informed if entry not in self._own]
        self._better = blocks[shot][0].evidence.higher_is_better
        self._unit = blocks[shot][0].evidence.unit

    def answer(self, messages: Iterable[str]) -> Recommendation:
        row = self._blocks[self._shot][0].row
        found = [candidate_of(entry) for entry in self._own]
        pick = leader = rank = None
        reason, tied = self._obstacle(), []
        expected = rival = None
        if not reason:
            scores, costs = self._scores(self._own), np.array([one.cost for one in found])
            choice = choose(scores, costs)
            rank, _ = rank_intervals(scores, higher_is_better=True)
            tied = [one for one, place in zip(found, rank, strict=True) if place == 1]
            leader, pick = found[choice.leader], found[choice.pick]
            expected = self._expected(choice.pick, scores, costs)
            reason = self._no_better_than_chance(pick, expected)
            rival = self._rival(choice.pick, scores, found)
        return Recommendation(
            domain=row.domain,
            source=row.source,
            task_kind=row.task_kind,
            protocol=row.protocol,
            protocol_digest=row.protocol_digest,
            way=row.way,
            shot=self._shot,
            metric=row.metric,
            higher_is_better=self._better,
            pick=None if reason else pick,
            reason=reason,
            expected=expected,
            leader=leader,
            tied=tuple(sorted(tied, key=lambda one: (one.cost, one.label))),
            compared=len(found),
            rival=rival,
            transductive=self._transductive(pick) if pick and not reason else None,
            other_shots=self._other_shots(pick) if pick else (),
            missing=tuple(self._missing(row.protocol_digest)),
            messages=tuple(messages),
        )

    def _obstacle(self) -> str:
        """Why nothing can be recommended before anything is compared."""
        if len(self._own) > 1:
            short = [e for e in self._own if not can_vary(self._scores([e])[0])]
            return self._too_few() if short else ""
        if not self._own:
            return (
                "every learner here that looks at its inputs sees all queries of a task at once; "
                "for queries that come together there is --transductive"
                if self._others
                else "only chance has a score: nothing that looks at its inputs was run"
            )
        label = candidate_of(self._own[0]).label
        return f"{label} is all that has a score, and one alone is no choice; run more"

    def _too_few(self) -> str:
        text = f"each learner needs two test {self._unit} at least, since one alone shows no spread"
        if self._unit == "episodes":
            return f"{text}; metabench run --episodes gives more"
        return (
            f"{text}; of own data, name more columns with --targets, or split them otherwise with "
            "--split-file"
        )

    def _scores(self, entries: Sequence[Entry]) -> FloatArray:
        stack = np.stack([e.evidence.scores for e in entries if e.evidence.scores is not None])
        return stack if self._better else -stack

    def _expected(self, pick: int, scores: FloatArray, costs: FloatArray) -> Expected | None:
        row = self._own[pick].row
        if row.mean is None or row.ci95_low is None or row.ci95_high is None:
            return None
        # Fixed tasks are the same ones for every seed: other seeds say nothing of other tasks.
        by_seed = scores.shape[1] > 1 and self._unit == "episodes"
        excess = optimism(scores, costs, by_seed=by_seed)
        shift = -(excess or 0.0) if self._better else (excess or 0.0)
        return Expected(
            mean=row.mean + shift,
            ci95_low=row.ci95_low + shift,
            ci95_high=row.ci95_high + shift,
            ci_over=row.ci_over or self._unit,
            observed=row.mean,
            optimism=excess,
            episodes=row.episodes or 0,
            units=scores.shape[2],
            seeds=row.seeds,
            chance=row.chance,
        )

    def _no_better_than_chance(self, pick: Candidate, expected: Expected | None) -> str:
        if expected is None:
            return f"{pick.label} has no interval"
        worst = expected.ci95_low if self._better else expected.ci95_high
        if (worst > expected.chance) == self._better and worst != expected.chance:
            return ""
        return (
            f"nothing is surely better than chance: {pick.label} has {expected.mean:.4g}, 95 % "
            f"interval {expected.ci95_low:.4g} to {expected.ci95_high:.4g}, chance "
            f"{expected.chance:.4g}"
        )

    def _rival(self, pick: int, scores: FloatArray, found: Sequence[Candidate]) -> Rival:
        means = np.array([one.mean for one in found])
        order = np.argsort(-means if self._better else means, kind="stable")
        other = int(next(position for position in order if position != pick))
        return Rival(found[other], estimate((scores[pick], scores[other]), unit=self._unit))

    def _transductive(self, pick: Candidate) -> Rival | None:
        """Compare with the best learner that was no candidate, if its mean is better."""
        ranked = [(candidate_of(entry), entry) for entry in self._others]
        ranked.sort(key=lambda pair: -pair[0].mean if self._better else pair[0].mean)
        own = next(e for e in self._own if (e.row.algorithm, e.row.encoder) == _name(pick))
        for candidate, entry in ranked[:1]:
            one, two = self._scores([own, entry])
            compared = estimate((one, two), unit=self._unit)
            return Rival(candidate, compared) if compared.difference < 0 else None
        return None

    def _other_shots(self, pick: Candidate) -> tuple[OtherShot, ...]:
        way = self._blocks[self._shot][0].row.way
        own = next(e for e in self._own if (e.row.algorithm, e.row.encoder) == _name(pick))
        found = []
        for shot in sorted(self._blocks, key=_number):
            informed = [
                entry
                for entry in self._blocks[shot]
                if _looks(entry)
                and entry.row.way == way
                and (entry.row.inductive or not pick.inductive)
            ]
            if shot == self._shot or not informed:
                continue
            rows = {(entry.row.algorithm, entry.row.encoder): entry for entry in informed}
            sign = 1 if self._better else -1
            best = max(map(candidate_of, informed), key=lambda one: sign * one.mean)
            same = rows.get(_name(pick))
            found.append(
                OtherShot(
                    shot=shot,
                    mean=same.row.mean if same else None,
                    change=_difference(same, own),
                    change_half=_half(same, own),
                    leader=best.label,
                    leader_mean=best.mean,
                )
            )
        return tuple(found)

    def _missing(self, protocol: str) -> list[tuple[str, str, str]]:
        """What failed or could not be run; what does not apply is not missing."""
        rows = [e.row for e in self._entries if e.row.protocol_digest == protocol]
        return [one for one in unanswered(rows, 3) if one[0] != "inapplicable"]


def _looks(entry: Entry) -> bool:
    """Whether a learner looks at its inputs; chance does not."""
    return entry.evidence.cell.encoder_policy != REFERENCE


def _name(candidate: Candidate) -> tuple[str, str]:
    return candidate.algorithm, candidate.encoder


def _difference(one: Entry | None, two: Entry) -> float | None:
    if one is None or one.row.mean is None or two.row.mean is None:
        return None
    return one.row.mean - two.row.mean


def _half(one: Entry | None, two: Entry) -> float | None:
    """Half the interval of a difference on other episodes: the halves add as variances do."""
    if one is None:
        return None
    halves = []
    for row in (one.row, two.row):
        if row.ci95_low is None or row.ci95_high is None:
            return None
        halves.append((row.ci95_high - row.ci95_low) / 2)
    return math.hypot(*halves)
