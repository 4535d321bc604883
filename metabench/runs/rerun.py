"""Cells carried out again, from what their records say of them, and compared with these."""

from __future__ import annotations

import shlex
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from metabench.errors import MetabenchError, UsageError
from metabench.leaderboard.folder import Found
from metabench.leaderboard.ranking import SIGNIFICANCE, paired_tests
from metabench.leaderboard.statistics import FloatArray
from metabench.leaderboard.verify import Check, Outcome
from metabench.registry.catalogue import Catalogue, Entry
from metabench.runs.parts import make_part
from metabench.runs.plan import Draft
from metabench.runs.protocol import Protocol
from metabench.runs.record import Record, digest_of, own_data_words
from metabench.runs.request import RunRequest
from metabench.runs.run import carry_out, report_problems
from metabench.runs.session import LazyExecutor, Session
from metabench.runs.verdicts import first_verdict
from metabench.runs.watcher import Watcher
from metabench.runs.why import key_changes

TOLERANCE = 1e-6
"""How far each episode's score may be from the record's, where everything else is equal."""
LARGE = 0.05
"""Share of the way from chance to the best value; what no other machine's rounding explains."""
CONDITIONS = ("torch", "numpy", "python", "processor", "device", "accelerator", "threads")
"""What equal scores need besides an equal cell key; a record may lack the newer ones."""


def sample(records: Iterable[Found], number: int, seed: int) -> list[Found]:
    """Draw cells that have scores, the same ones for the same seed and records.

    Args:
        records: All records.
        number: How many at most.
        seed: The seed.
    """
    scored = [found for found in records if found.record.status == "ok"]
    return sorted(scored, key=lambda found: digest_of([seed, found.record.key]))[:number]


def rerun(
    chosen: Sequence[Found], request: RunRequest, watcher: Watcher | None = None
) -> Iterator[Check]:
    """Carry cells out again in a store of their own that is deleted afterwards.

    Args:
        chosen: The cells' records.
        request: Device, jobs, data and plugins; its store and its choice of cells do not count.
        watcher: Sees the cells as they end.

    Yields:
        One check per cell.

    Raises:
        MetabenchError: If the request itself cannot be carried out.
    """
    watcher = watcher or Watcher()
    groups: dict[str, list[Found]] = defaultdict(list)
    for found in chosen:
        groups[str(found.record.key_parts.get("precision"))].append(found)
    for precision, members in sorted(groups.items()):
        with tempfile.TemporaryDirectory(prefix="metabench-rerun-") as folder:
            own: dict[str, Any] = {"store": Path(folder), "leaderboards": None}
            if precision in {"fp32", "bf16"}:
                own["precision"] = precision
            session = Session.start(request.model_copy(update=own))
            report_problems(session, watcher)
            yield from _rerun(members, session, watcher)


def _rerun(chosen: Sequence[Found], session: Session, watcher: Watcher) -> Iterator[Check]:
    drafts: list[Draft] = []
    open_cells: list[Found] = []
    for found in chosen:
        try:
            drafts.append(draft_of(found.record, session.catalogue))
        except MetabenchError as error:
            yield Check("unchecked", "rerun", found.record.cell.label, str(error))
        else:
            open_cells.append(found)
    lazy = LazyExecutor(lambda: session.executor(len(drafts)))
    try:
        records, _ = carry_out(session, drafts, lazy, watcher)
    finally:
        lazy.close()
    for found, again in zip(open_cells, records, strict=True):
        scores = session.store.scored(again).scores
        yield compare(found, again, scores, tests=len(open_cells))


def draft_of(record: Record, catalogue: Catalogue) -> Draft:
    """Plan the cell of a record anew.

    Args:
        record: A record.
        catalogue: What is installed.

    Raises:
        UsageError: If something that the cell needs is not installed, or the record does not hold
            its protocol.
    """
    cell = record.cell
    if (words := own_data_words(record.provenance)) and cell.source not in catalogue.sources:
        raise UsageError(
            f"its data are a user's own and not here; where they lie, "
            f"`metabench run {shlex.join(words)}` carries its cells out again"
        )
    source = catalogue.source(cell.source)
    learner = _algorithm(record, catalogue)
    encoder = None
    if cell.encoder != "none":
        encoder = make_part(catalogue.encoder(cell.encoder), cell.encoder)
    settings = record.provenance.get("protocol")
    try:
        protocol = Protocol.model_validate(settings)
    except ValidationError as error:
        raise UsageError(f"the record does not hold a protocol: {error.error_count()} of its "
                         "settings are missing or out of range") from error  # fmt: skip
    metric, *others = (
        make_part(catalogue.metric(name), name)
        for name in dict.fromkeys((source.info.metric, *source.info.other_metrics))
    )
    part, algorithm = make_part(source, cell.source), make_part(learner, cell.algorithm)
    return Draft(
        source=part,
        encoder=encoder,
        algorithm=algorithm,
        metric=metric,
        other_metrics=tuple(others),
        protocol=protocol,
        seed=cell.seed,
        verdict=first_verdict(part, encoder, algorithm, (metric, *others)),
    )


def _algorithm(record: Record, catalogue: Catalogue) -> Entry[Any]:
    """Find the algorithm; a suite's variant by the code of the one that it varies."""
    part = record.key_parts.get("algorithm")
    part = part if isinstance(part, Mapping) else {}
    name = record.cell.algorithm
    if name not in catalogue.algorithms and part.get("code"):
        for entry in catalogue.algorithms.values():
            same_recipe = entry.info.recipe == part.get("recipe")
            if same_recipe and entry.home.code(entry.info.target) == part["code"]:
                options = part.get("options")
                own = dict(options) if isinstance(options, Mapping) else {}
                info = replace(entry.info, name=name, argument="", options=own)
                return replace(entry, info=info)
    return catalogue.algorithm(name)


def compare(found: Found, again: Record, scores: FloatArray | None, *, tests: int) -> Check:
    """Compare a record with the one that the same cell has left now.

    Args:
        found: The record in question.
        again: The new one.
        scores: The new scores, if there are any.
        tests: How many cells are compared; the significance level is divided by it.

    Returns:
        ``pass`` if every episode's score is the same; ``fail`` if not although nothing else
        differs, if other episodes were met, or if the means are far apart; ``unchecked`` if the
        scores differ no more than another machine or version explains, or the cell cannot be run.
    """
    changes = list(_conditions(found.record, again))
    if scores is None:
        outcome, detail = _without_scores(again, changes)
    elif any(change.startswith(("source.digest", "protocol")) for change in changes):
        outcome, detail = "unchecked", "it is another cell here"
    elif again.episodes_digest != found.record.episodes_digest:
        outcome, detail = "fail", "its episodes are not those of its protocol, data and seed"
    else:
        outcome, detail = _compare_scores(found, again, scores, tests, same=not changes)
    if changes and outcome != "pass":
        detail += f" ({'; '.join(changes)})"
    return Check(outcome, "rerun", found.record.cell.label, detail)


def _without_scores(again: Record, changes: Sequence[str]) -> tuple[Outcome, str]:
    reason = again.failure.reason if again.failure else "no reason recorded"
    blameless = again.status in {"unavailable", "inapplicable"} or changes
    return "unchecked" if blameless else "fail", f"it ends as {again.status} now: {reason}"


def _compare_scores(
    found: Found, again: Record, scores: FloatArray, tests: int, *, same: bool
) -> tuple[Outcome, str]:
    before, record = found.scored().scores, found.record
    if before is None or before.shape != scores.shape:
        number = 0 if before is None else len(before)
        return "fail", f"it holds {number} scores, and there are {len(scores)} now"
    if np.allclose(before, scores, rtol=0, atol=TOLERANCE, equal_nan=True):
        return "pass", f"mean {again.mean:.6g}, every episode the same"
    _, p = paired_tests(np.stack([before, scores]))
    told = f"mean {record.mean:.6g}, and {again.mean:.6g} now (p = {p[0, 1]:.2g})"
    if same:
        return "fail", f"{told} with the same code, versions and machine"
    scale = abs(again.cell.best - again.cell.chance) or 1.0
    far = abs((record.mean or 0.0) - (again.mean or 0.0)) > LARGE * scale
    if far and p[0, 1] < SIGNIFICANCE / tests:
        return "fail", f"{told}: too far apart for what differs"
    return "unchecked", told


def _conditions(record: Record, again: Record) -> Iterator[str]:
    yield from key_changes(record.key_parts, again.key_parts)
    for name in CONDITIONS:
        before, now = record.provenance.get(name), again.provenance.get(name)
        if name == "processor" and before is None:
            yield "the record does not name its processor"
        elif before != now:
            yield f"{name} {before or 'none'} -> {now or 'none'}"
