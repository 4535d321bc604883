"""Saving a learner of a store: a folder with weights, configuration and a note on its use."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import metabench
from metabench.atomic import write_text
from metabench.errors import MetabenchError, UsageError
from metabench.hookspecs import TaskSourceInfo
from metabench.leaderboard.current import data_digest
from metabench.leaderboard.recommendation import Expected
from metabench.leaderboard.tables import Entry
from metabench.learners.contracts import Encoder
from metabench.learners.files import write_tensors
from metabench.learners.model import Embedded
from metabench.own.data import OwnData
from metabench.own.describe import TARGET as OWN_DATA
from metabench.own.describe import reader_of
from metabench.own.source import reader_settings
from metabench.registry.catalogue import Catalogue
from metabench.runs.outcomes import Verdict
from metabench.runs.plan import Draft, resolve
from metabench.runs.prepare import meta_train_items, prepare_encoder, prepare_source
from metabench.runs.record import Record, own_data_words
from metabench.runs.rerun import draft_of
from metabench.runs.session import Session
from metabench.runs.tasks import CellTask, Part
from metabench.runs.why import key_changes
from metabench.runs.worker import Ready, make_ready
from metabench.saved.check import Agreement, check
from metabench.saved.config import (
    CONFIG,
    REFERENCE,
    WEIGHTS,
    SavedAlgorithm,
    SavedConfig,
    SavedEncoder,
    SavedInput,
    SavedReader,
    SavedScore,
    file_sha256,
)
from metabench.saved.items import ItemInputs, input_spec
from metabench.saved.readme import README, describe
from metabench.tasks.data import TaskData

PROBE = 8
"""Items on which it is tried whether the encoder's preparation is fitted on meta-train items."""
Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Exported:
    """A saved learner.

    Attributes:
        folder: Where it lies.
        config: What it is.
        shared: Whether its weights came from the store's cache; otherwise they were trained again,
            or there was nothing to train.
        agreement: How its answers compare with the record's.
        notes: What a user must know.
    """

    folder: Path
    config: SavedConfig
    shared: bool
    agreement: Agreement
    notes: tuple[str, ...]


def export_record(
    out: Path,
    record: Record,
    session: Session,
    *,
    entry: Entry,
    expected: Expected | None,
    report: Report,
) -> Exported:
    """Save the learner of one cell, after its answers were compared with the cell's.

    Args:
        out: The folder to write, which must not exist or be empty.
        record: The cell's record.
        session: What is installed, and where the store and the data are.
        entry: The cell's row in the tables.
        expected: What may be expected of it, where it was picked.
        report: Called with the stage ``train``, what is done and the total.

    Raises:
        UsageError: If the folder holds something.
        MetabenchError: If the data, the encoder or the weights cannot be had, or the saved learner
            does not answer as the trained one.
    """
    _check_free(out)
    draft = draft_of(record, session.catalogue)
    task = _task(draft, session)
    _check_data(record, task)
    changes = key_changes(record.key_parts, task.key_parts)
    notes = [f"not as it was recorded: {change}" for change in changes]
    ready = make_ready(task, report)
    with _folder(out) as folder:
        digest = _write_weights(folder, ready)
        reference = _write_reference(folder, task, ready)
        config = SavedConfig(
            metabench=metabench.__version__,
            task_kind=task.source.info.task_kind,
            modality=ready.data.modality,
            domain=record.cell.domain,
            source=record.cell.source,
            source_digest=ready.data.digest,
            inputs={name: _input(tensor) for name, tensor in ready.data.inputs.items()},
            reader=_reader(task.source.info),
            encoder=_encoder(task),
            algorithm=_algorithm(task, ready, session.catalogue),
            way=ready.built.model.algorithm.task.way,
            precision=task.place.precision,
            seed=record.cell.seed,
            protocol=task.protocol.model_dump(mode="json"),
            training=ready.log.as_dict(),
            score=_score(entry, expected),
            record=record.key,
            weights_sha256=digest,
            reference_sha256=file_sha256(folder / REFERENCE) if reference else "",
            reference_items=reference,
        )
        write_text(folder / CONFIG, config.model_dump_json(indent=1) + "\n")
        agreement = check(folder, config, ready, record, session)
        notes += agreement.notes
        item = ItemInputs(input_spec(config), session.catalogue, config.reader).example
        write_text(folder / README, describe(config, out.name, agreement, item))
    return Exported(out, config, ready.shared, agreement, tuple(notes))


def _check_data(record: Record, task: CellTask) -> None:
    """Refuse a learner that was measured on other data than would be exported with it."""
    if data_digest(record) == task.source_digest:
        return
    words = own_data_words(record.provenance) or ["--sources", record.cell.source]
    raise MetabenchError(
        f"the data of {record.cell.source} have changed since the record was made, so its score no "
        f"longer holds; run on them as they are, then export: metabench run {shlex.join(words)}"
    )


def _check_free(out: Path) -> None:
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise UsageError(f"{out} exists and is not an empty folder; name a new one")


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """A folder that gets its name when it is complete."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name[:40]}."))
    except OSError as error:
        raise MetabenchError(f"cannot write {out}: {error.strerror}") from error
    try:
        yield folder
        folder.chmod(0o755)
        if out.exists():
            out.rmdir()
        folder.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _task(draft: Draft, session: Session) -> CellTask:
    """Plan the cell; its source and encoder are loaded if the cache does not know them."""
    if draft.verdict is not None:
        raise MetabenchError(f"it cannot be exported here: {draft.verdict.reason}")
    known = session.known([draft])
    place = session.place
    if draft.source.name not in known.sources:
        known.sources[draft.source.name] = prepare_source((draft.source, place))
    if draft.encoder is not None:
        names = draft.source.name, draft.encoder.name
        if names not in known.encoders:
            known.encoders[names] = prepare_encoder((draft.source, draft.encoder, place))
    planned = resolve(draft, known, place)
    if isinstance(planned.verdict, Verdict):
        raise MetabenchError(f"it cannot be exported here: {planned.verdict.reason}")
    return planned.task


def _write_weights(folder: Path, ready: Ready) -> str:
    tensors = ready.built.model.state_dict()
    write_tensors(folder / WEIGHTS, tensors, {"format": "pt"})
    return file_sha256(folder / WEIGHTS)


def _write_reference(folder: Path, task: CellTask, ready: Ready) -> int:
    """Keep the meta-train items if the encoder prepares others by them.

    Returns:
        How many; 0 if it does not.
    """
    items = meta_train_items(ready.data)
    if task.encoder is None or not len(items):
        return 0
    model = ready.built.model
    encoder = model.encoder.origin() if isinstance(model.encoder, Embedded) else model.encoder
    if not _is_fitted(encoder, ready.data, items[:PROBE]):
        return 0
    inputs = {name: tensor[items] for name, tensor in ready.data.inputs.items()}
    write_tensors(folder / REFERENCE, inputs, {"source": ready.data.digest})
    return len(items)


def _is_fitted(encoder: Encoder, data: TaskData, items: Tensor) -> bool:
    """Whether preparing items with meta-train items at hand gives something else than without."""
    if type(encoder).prepare is Encoder.prepare:
        return False
    some = {name: tensor[items] for name, tensor in data.inputs.items()}
    without = encoder.prepare(some, torch.empty(0, dtype=torch.int64))
    fitted = encoder.prepare(some, torch.arange(len(items)))
    return not all(torch.equal(fitted[name], tensor) for name, tensor in without.items())


def _input(tensor: Tensor) -> SavedInput:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return SavedInput(shape=tuple(tensor.shape[1:]), dtype=dtype)


def _reader(source: TaskSourceInfo) -> SavedReader | None:
    """How the items of own data were read."""
    if source.target != OWN_DATA:
        return None
    info, own = reader_of(source.options["reader"]), OwnData.model_validate(source.options["own"])
    return SavedReader(name=info.name, options=_json(reader_settings(info, own)))


def _encoder(task: CellTask) -> SavedEncoder | None:
    if task.encoder is None:
        return None
    return SavedEncoder(
        **_part(task.encoder),
        registered=task.encoder.info.name,
        trainable=task.encoder.info.trainable,
        weights=task.encoder_digest,
    )


def _algorithm(task: CellTask, ready: Ready, catalogue: Catalogue) -> SavedAlgorithm:
    info = task.algorithm.info
    return SavedAlgorithm(
        **_part(task.algorithm),
        registered=_registered(task, catalogue),
        hyperparameters=_json(asdict(ready.built.hyper)),
        inductive=info.inductive,
        adapts_encoder=info.adapts_encoder,
        takes_maps=task.takes_maps,
    )


def _registered(task: CellTask, catalogue: Catalogue) -> str:
    """The name under which a plugin offers the algorithm; a suite's variant has another."""
    info = task.algorithm.info
    if info.name in catalogue.algorithms:
        return info.name
    return next(n for n, e in catalogue.algorithms.items() if e.info.target == info.target)


def _part(part: Part[Any]) -> dict[str, Any]:
    return {
        "name": part.name,
        "options": _json(dict(part.info.options)),
        "distribution": part.distribution,
        "version": part.version,
        "code": part.code,
    }


def _json(values: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(values, default=list))
    return plain


def _score(entry: Entry, expected: Expected | None) -> SavedScore | None:
    row = entry.row
    if row.mean is None:
        return None
    return SavedScore(
        metric=row.metric,
        mean=expected.mean if expected else row.mean,
        ci95_low=expected.ci95_low if expected else row.ci95_low,
        ci95_high=expected.ci95_high if expected else row.ci95_high,
        ci_over=row.ci_over,
        chance=row.chance,
        optimism=expected.optimism if expected else None,
        way=row.way,
        shot=row.shot,
        episodes=row.episodes or 0,
        seeds=row.seeds,
    )
