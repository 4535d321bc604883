"""Carrying out one cell, in a worker process: load, train or fetch weights, evaluate, record."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from metabench.errors import InapplicableError, MetabenchError
from metabench.learners.contracts import Algorithm, TaskSpec, build_hyperparameters
from metabench.learners.device import Compute, release_unused
from metabench.learners.evaluation import Evaluation, evaluate
from metabench.learners.files import read_tensors, write_tensors
from metabench.learners.model import Blank, Embedded, FewShotModel, Problem, parameter_count
from metabench.learners.recipes import EpisodicRecipe, Recipe, Setting
from metabench.learners.supervised import supervised_recipe
from metabench.learners.training import FIT_EXAMPLES, Budget, MetaTrainer, TrainingLog
from metabench.registry.targets import resolve_target
from metabench.runs.elsewhere import check_parts
from metabench.runs.memory import peak_memory_mb, reset_peak_memory
from metabench.runs.outcomes import provenance, unanswered, verdict_of_error
from metabench.runs.prepare import build_encoder, frozen_features, load_source, prepared_inputs
from metabench.runs.record import Cell, Cost, Record
from metabench.runs.store import Store
from metabench.runs.tasks import CellTask, checkpoint_path, source_index
from metabench.tasks.data import Pool, TaskData, TaskPool
from metabench.tasks.sampler import EpisodeBatch, EpisodeSampler, episodes_digest

Report = Callable[[str, int, int], None]
DIGEST_BATCH = 256
BUILTIN_RECIPES: Mapping[str, Callable[[Setting], Recipe]] = {
    "episodic": EpisodicRecipe,
    "supervised": supervised_recipe,
}


def run_cell(task: CellTask, report: Report) -> Record:
    """Carry out a cell and write its record, whatever happens.

    Args:
        task: The cell.
        report: Called with the stage (``train`` or ``test``), what is done and the total.

    Returns:
        The record as written.

    Raises:
        MetabenchError: If the record itself cannot be written.
    """
    store = Store(task.place.store)
    started = datetime.now(UTC)
    reset_peak_memory()
    try:
        return _run(task, store, started, report)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's bug costs one cell
        verdict = verdict_of_error(error, store, task.key[:16])
        return store.put(verdict.record(task, started))
    finally:
        release_unused()


@dataclass(frozen=True)
class Built:
    """A model with all that it is trained and tested on.

    Attributes:
        model: Encoder and algorithm.
        problem: Prepared inputs.
        hyper: The algorithm's settings.
        sampler: The test episodes.
        metric: The metric's function.
    """

    model: FewShotModel
    problem: Problem
    hyper: Any
    sampler: EpisodeSampler
    metric: Any


@dataclass(frozen=True)
class Ready:
    """A cell whose model may be tested.

    Attributes:
        data: The source.
        built: The model, trained, with its test episodes.
        log: How it was trained.
        shared: Whether another cell had trained its weights already.
    """

    data: TaskData
    built: Built
    log: TrainingLog
    shared: bool


def make_ready(task: CellTask, report: Report) -> Ready:
    """Load a cell's source, build its model, and train it or find its weights.

    Args:
        task: The cell.
        report: Called with the stage ``train``, what is done and the total.

    Raises:
        MetabenchError: If the source or the encoder is not what it was when the cell was planned.
    """
    data = load_source(task.source, task.place)
    if data.digest != task.source_digest:
        source_index(task.place.store, task.source, task.place.data).unlink(missing_ok=True)
        raise MetabenchError(f"the data of {task.source.name} changed during the run; run again")
    _seed(task.cell.seed)
    built = _build(task, data)
    log, shared = _train(task, data, built, lambda done, total: report("train", done, total))
    _seed(task.cell.seed)  # whether this cell trained the weights or found them must not matter
    fit_features(data, built)
    return Ready(data, built, log, shared)


def _run(task: CellTask, store: Store, started: datetime, report: Report) -> Record:
    if task.environment is not None:
        check_parts(task)
    ready = make_ready(task, report)
    built = ready.built
    total = built.sampler.test_episodes(task.protocol.episodes)
    outcome = evaluate(
        built.model,
        built.problem,
        built.sampler,
        total,
        built.metric,
        kind=task.source.info.task_kind,
        others={part.name: resolve_target(part.info.target) for part in task.other_metrics},
        transductive=not task.algorithm.info.inductive,
        report=lambda done, total: report("test", done, total),
    )
    defined = ~np.isnan(outcome.scores)
    if reason := _unusable(task.cell.metric, outcome.scores):
        return store.put(unanswered(task, "failed", reason, started=started))
    ways: list[int] = []
    digest = episodes_digest(_noting_ways(built.sampler.batches(0, total, DIGEST_BATCH), ways))
    return store.put(
        Record(
            key=task.key,
            key_parts=task.key_parts,
            cell=_with_limits(task, ways, outcome),
            status="ok",
            mean=_mean_over_tasks(outcome),
            episodes=int(defined.sum()),
            undefined_episodes=int((~defined).sum()),
            other_metrics=_other_means(task.cell.metric, built.sampler.pool, outcome),
            episodes_digest=digest,
            cost=_cost(built, ready.log, outcome, shared=ready.shared),
            training=_training_notes(task, ready),
            provenance=provenance(
                task,
                started,
                threads=torch.get_num_threads(),
                device=str(built.problem.compute.device),
                accelerator=built.problem.compute.accelerator,
            ),
            notes=task.notes,
        ),
        outcome.arrays(),
    )


def _seed(seed: int) -> None:
    """Seed every generator that a plugin may draw from without asking."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global generator is what such a plugin uses
    torch.manual_seed(seed)


def _noting_ways(batches: Iterator[EpisodeBatch], ways: list[int]) -> Iterator[EpisodeBatch]:
    for batch in batches:
        ways += [batch.way] * len(batch)
        yield batch


def _unusable(metric: str, scores: npt.NDArray[np.float64]) -> str:
    """Say why there is no mean, if there is none."""
    if np.isnan(scores).all():
        return f"{metric} is undefined in all {len(scores)} test episodes"
    if infinite := int(np.isinf(scores).sum()):
        return (
            f"{metric} is infinite in {infinite} of {len(scores)} test episodes: "
            "a prediction is no finite number"
        )
    return ""


def _other_means(metric: str, pool: Pool, outcome: Evaluation) -> dict[str, float | None]:
    """Mean of each further metric, and of the metric over each subset of the tasks."""
    means = {name: _mean(scores) for name, scores in outcome.others.items()}
    if isinstance(pool, TaskPool):
        subsets = np.array([pool.tasks[unit].subset for unit in outcome.units])
        means |= {
            f"{metric} ({subset})": _mean(outcome.scores[subsets == subset])
            for subset in np.unique(subsets).tolist()
            if subset
        }
    return means


def _mean_over_tasks(outcome: Evaluation) -> float:
    """Mean over the episodes, or over fixed tasks of the mean over each one's draws."""
    if not outcome.units.size:
        return float(np.nanmean(outcome.scores))
    own = [outcome.scores[outcome.units == unit] for unit in np.unique(outcome.units)]
    return float(np.mean([np.nanmean(draws) for draws in own if not np.isnan(draws).all()]))


def _mean(scores: npt.NDArray[np.float64]) -> float | None:
    """Mean over the episodes in which a metric is defined, if it is finite."""
    defined = scores[~np.isnan(scores)]
    mean = float(defined.mean()) if defined.size else math.nan
    return mean if math.isfinite(mean) else None


def _with_limits(task: CellTask, ways: list[int], outcome: Evaluation) -> Cell:
    """Return the cell with the chance level and the best value of these very episodes.

    Under a protocol with a range of ways, and in task pools, the way is known only now; so is the
    share of positives among the queries.
    """
    info, limits = task.metric.info, {}
    if info.chance == "1/way":
        even = len(set(ways)) == 1
        limits["chance"] = 1 / ways[0] if even else math.fsum(1 / way for way in ways) / len(ways)
    if "base-rate" in (info.chance, str(info.best).removeprefix("1-")):
        ends = outcome.offsets
        positives = np.add.reduceat(outcome.targets.astype(np.float64), ends[:-1])
        rate = float((positives / np.diff(ends))[~np.isnan(outcome.scores)].mean())
        limits |= {"chance": rate} if info.chance == "base-rate" else {}
        limits |= {"best": 1 - rate} if info.best == "1-base-rate" else {}
    return task.cell.model_copy(update=limits)


def _build(task: CellTask, data: TaskData) -> Built:
    compute = Compute.choose(task.place.device, task.place.precision)
    seed, protocol = task.cell.seed, task.protocol
    sampler = EpisodeSampler(
        data.splits["test"],
        protocol.sampling,
        source_digest=data.digest,
        split="test",
        seed=seed,
        groups=data.groups,
    )
    if task.encoder is None:
        encoder: Any = Blank()
        inputs = {"nothing": torch.zeros(len(data), 1)}
    elif task.trainable:
        encoder = build_encoder(task.encoder, data)
        inputs = prepared_inputs(task.encoder, encoder, data, task.place)
    else:
        features = frozen_features(task.encoder, task.encoder_digest, data, task.place)
        encoder = Embedded(features.shape[1], partial(build_encoder, task.encoder, data))
        inputs = {"embedding": features}
    encoder = encoder.to(compute.device, memory_format=torch.channels_last)
    algorithm_class = resolve_target(task.algorithm.info.target)
    hyper = build_hyperparameters(
        algorithm_class.Hyperparameters, task.algorithm.info.options, task.algorithm.name
    )
    info = task.algorithm.info
    spec = TaskSpec(
        kind=task.source.info.task_kind,
        way=_largest_way(task, data),
        width=encoder.width,
        encoder=encoder if info.adapts_encoder else None,
        map_shape=encoder.map_shape if task.takes_maps else None,
    )
    algorithm: Algorithm[Any] = algorithm_class(spec, hyper).to(compute.device)
    model = FewShotModel(
        encoder, algorithm, adapts_encoder=info.adapts_encoder, takes_maps=task.takes_maps
    )
    metric = resolve_target(task.metric.info.target)
    problem = Problem(compute.place(inputs), compute, data.lists)
    return Built(model, problem, hyper, sampler, metric)


def _largest_way(task: CellTask, data: TaskData) -> int:
    """The most classes that an episode can have; with a range of ways, splits differ in that."""
    return max(
        max(one.way for one in pool.tasks)
        if isinstance(pool, TaskPool)
        else min(task.protocol.sampling.most_way, len(pool.names))
        for pool in data.splits.values()
    )


def _train(
    task: CellTask, data: TaskData, built: Built, report: Callable[[int, int], None]
) -> tuple[TrainingLog, bool]:
    """Leave trained weights in the model: from a shared checkpoint, or by training."""
    if not task.stages or not any(p.requires_grad for p in built.model.parameters()):
        return TrainingLog(setup={"recipe": "none"}), False
    if "train" not in data.splits:
        raise InapplicableError(f"{task.cell.source} has no meta-train split to train on")
    paths = [
        checkpoint_path(task.place.store, task.checkpoint_key(stage))
        for stage in range(len(task.stages))
    ]
    log, done = TrainingLog(), 0
    for stage in reversed(range(len(paths))):
        if (found := _load_weights(paths[stage], built.model)) is not None:
            log, done = found, stage + 1
            break
    shared = done == len(paths)
    for stage in range(done, len(paths)):
        log = _train_stage(task, data, built, report, stage=stage, before=log, weights=paths[stage])
    return log, shared


def _train_stage(
    task: CellTask,
    data: TaskData,
    built: Built,
    report: Callable[[int, int], None],
    *,
    stage: int,
    before: TrainingLog,
    weights: Path,
) -> TrainingLog:
    """Train one stage from the weights that the model has, and keep what comes of it."""
    name, stages = task.stages[stage], len(task.stages)
    make_recipe: Callable[[Setting], Recipe] = BUILTIN_RECIPES.get(name) or resolve_target(name)
    setting = Setting(
        model=built.model,
        problem=built.problem,
        data=data,
        sampling=task.protocol.sampling,
        seed=task.cell.seed,
        hyper=built.hyper,
        metric=built.metric,
        higher_is_better=task.cell.best >= task.cell.chance,
        val_episodes=task.protocol.val_episodes,
        transductive=not task.algorithm.info.inductive,
    )
    protocol = task.protocol
    budget = Budget(
        protocol.budget // stages,
        protocol.seconds and protocol.seconds / stages,
        protocol.selections,
        protocol.patience,
    )
    recipe = make_recipe(setting)
    log = MetaTrainer(
        recipe,
        budget,
        weights.with_suffix(".partial"),
        lambda done, total: report(stage * total + done, stages * total),
    ).run()
    log.setup = {"recipe": name, **log.setup}
    log = log.after(before) if stage else log
    state = built.model.encoder.state_dict() if recipe.shared else built.model.state_dict()
    write_tensors(weights, state, {"log": json.dumps(log.as_dict()), "shared": str(recipe.shared)})
    return log


def _load_weights(path: Path, model: FewShotModel) -> TrainingLog | None:
    found = read_tensors(path)
    if found is None:
        return None
    tensors, metadata = found
    target = model.encoder if metadata["shared"] == "True" else model
    target.load_state_dict(tensors)
    return TrainingLog.from_dict(json.loads(metadata["log"]))


def fit_features(data: TaskData, built: Built) -> None:
    """Show the algorithm embeddings of meta-train examples, if it asks for them."""
    algorithm = built.model.algorithm
    overridden = type(algorithm).fit_features is not Algorithm.fit_features
    if not overridden or built.model.adapts_encoder or "train" not in data.splits:
        return
    items = data.splits["train"].items
    chosen = items[np.linspace(0, len(items) - 1, min(FIT_EXAMPLES, len(items))).astype(np.int64)]
    built.model.eval()
    features = built.model.represent_all(built.problem, built.problem.index(chosen))
    algorithm.fit_features(features.clone())


def _cost(built: Built, log: TrainingLog, outcome: Evaluation, *, shared: bool) -> Cost:
    return Cost(
        train_seconds=round(log.seconds, 3),
        adapt_ms_per_task=round(1000 * outcome.adapt_seconds / len(outcome.scores), 4),
        embed_seconds=round(outcome.embed_seconds, 3),
        peak_memory_mb=round(peak_memory_mb(), 1),
        parameters=parameter_count(built.model),
        examples_seen=log.examples,
        shared_training=shared,
    )


def _training_notes(task: CellTask, ready: Ready) -> dict[str, Any]:
    pool = ready.data.splits["test"]
    notes = ready.log.as_dict()
    notes["unit"] = "tasks" if isinstance(pool, TaskPool) else "episodes"
    notes["test_way"] = task.cell.way
    notes["test_shot"] = task.cell.shot
    notes["hyperparameters"] = asdict(ready.built.hyper)
    return notes
