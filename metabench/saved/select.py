"""Which learner of a store is saved: the recommended one, or one by name."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from metabench.errors import MetabenchError, UsageError, unknown_name
from metabench.leaderboard.recommend import recommend, source_tables
from metabench.leaderboard.recommendation import Expected
from metabench.leaderboard.tables import Entry, Tables
from metabench.runs.kept import own_run
from metabench.runs.record import Record, own_data_words
from metabench.runs.request import RunRequest
from metabench.runs.session import Session
from metabench.runs.store import Store
from metabench.runs.why import last_request
from metabench.saved.export import Exported, Report, export_record


def export(
    out: Path,
    store: Path,
    *,
    source: str = "",
    encoder: str = "",
    algorithm: str = "",
    shots: str = "",
    seed: int | None = None,
    transductive: bool = False,
    device: str = "auto",
    data: Path | None = None,
    report: Report = lambda _stage, _done, _total: None,
) -> Exported:
    """Save a learner of a store as a folder.

    Args:
        out: The folder to write.
        store: The store.
        source: The source; may be left out if the store has one only.
        encoder: The encoder; by default the recommended one.
        algorithm: The algorithm; by default the recommended one.
        shots: Labelled examples per class that it was trained and tested with; by default the
            most.
        seed: The seed of the training; by default the first.
        transductive: Whether all queries of a task come at once; only for what is recommended.
        device: ``auto`` or a torch device.
        data: The data directory; by default that of the store's last run, or ``METABENCH_DATA``.
        report: Called with the stage ``train``, what is done and the total.

    Returns:
        Where it lies and what it is.

    Raises:
        UsageError: If a name is unknown, or stands for several learners.
        MetabenchError: If it cannot be saved, or nothing can be recommended.
    """
    opened = Store(store.resolve(), only_read=True)
    tables, source, told = source_tables(opened, source)
    expected: Expected | None = None
    if encoder or algorithm:
        entry = _named(tables, encoder=encoder, algorithm=algorithm, shots=shots)
    else:
        found = recommend(tables, source, shot=shots, together=transductive)
        if found.pick is None:
            raise MetabenchError(
                f"no recommendation: {found.reason}; name --algorithm and --encoder"
            )
        expected = found.expected
        pick = found.pick
        entry = _named(tables, encoder=pick.encoder, algorithm=pick.algorithm, shots=found.shot)
    record = _of_seed(entry.evidence.records, seed)
    session = _session(opened, record, device, data)
    if source not in session.catalogue.sources:
        words = own_data_words(record.provenance) or ["--sources", source]
        command = shlex.join(["metabench", "run", *words, "--store", str(store)])
        raise UsageError(
            f"the source {source} is in no plugin, and {store} does not say where it lies; run "
            f"with these data again, finished cells are found, and export then: {command}"
        )
    saved = export_record(out, record, session, entry=entry, expected=expected, report=report)
    return replace(saved, notes=(*told, *saved.notes))


def _named(tables: Tables, *, encoder: str, algorithm: str, shots: str) -> Entry:
    """Find the one row with a number that the names stand for."""
    entries = [entry for entry in tables.entries if entry.block is not None]
    for kind, name in (("algorithm", algorithm), ("encoder", encoder)):
        known = {getattr(entry.row, kind) for entry in entries}
        if name and name not in known:
            raise unknown_name(kind, name, known)
    entries = [
        entry
        for entry in entries
        if algorithm in {"", entry.row.algorithm} and encoder in {"", entry.row.encoder}
    ]
    if not entries:
        raise UsageError(f"{algorithm} has no score with {encoder}")
    most = max((entry.row.shot for entry in entries), key=_number)
    if shots and shots not in {entry.row.shot for entry in entries}:
        raise UsageError(f"--shots {shots} has no score here; {most} has")
    entries = [entry for entry in entries if entry.row.shot == (shots or most)]
    labels = sorted(f"--algorithm {e.row.algorithm} --encoder {e.row.encoder}" for e in entries)
    if len(set(labels)) > 1:
        raise UsageError(f"that stands for {len(set(labels))} learners: {'; '.join(labels[:4])}")
    return entries[0]


def _number(shot: str) -> float:
    return float(shot) if shot.isdecimal() else 0.0


def _of_seed(records: Sequence[Record], seed: int | None) -> Record:
    known = {record.cell.seed: record for record in records}
    if seed is not None and seed not in known:
        raise UsageError(f"--seed {seed} was not run; {', '.join(map(str, known))} was")
    return known[seed] if seed is not None else records[0]


def _session(store: Store, record: Record, device: str, data: Path | None) -> Session:
    """Start from the last run of these own data, or that of the store: it knows where data lie."""
    kept = own_run(store.root, record.cell.source) if own_data_words(record.provenance) else None
    try:
        request = kept.request if kept is not None else last_request(store)
    except UsageError:
        request = RunRequest()
    if data is None and request.data is None and os.environ.get("METABENCH_DATA"):
        data = Path(os.environ["METABENCH_DATA"])
    precision = record.key_parts.get("precision")
    changes = {
        "store": store.root,
        "leaderboards": None,
        "device": device,
        "executor": "local",
        "precision": precision if precision in {"fp32", "bf16"} else "fp32",
        **({"data": data} if data is not None else {}),
    }
    return Session.start(request.model_copy(update=changes), only_read=True)
