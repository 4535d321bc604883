"""Examining one algorithm on synthetic episodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch

from metabench.errors import UsageError, unknown_name
from metabench.hookspecs import AlgorithmInfo, TaskKind
from metabench.leaderboard.audits import Finding
from metabench.learners.contracts import Algorithm, TaskSpec, build_hyperparameters
from metabench.learners.device import Compute
from metabench.learners.metrics import accuracy
from metabench.learners.model import Embedded, FewShotModel, Problem
from metabench.registry.discovery import load_plugins
from metabench.registry.targets import resolve_target
from metabench.runs.worker import Built, fit_features
from metabench.tasks.data import TaskPool
from metabench.tasks.sampler import EpisodeSampler
from metabench.testing.checks import run_checks
from metabench.testing.names import known_checks
from metabench.testing.subject import Subject
from metabench.testing.synthetic import SAMPLINGS, WIDTH, SyntheticEncoder, synthetic_source

SEED = 0


def examine(
    algorithm: str | AlgorithmInfo | type[Algorithm[Any]],
    checks: tuple[str, ...],
    declared: Mapping[str, Any],
) -> dict[str, tuple[Finding, ...]]:
    """Run checks for every kind of task; see `metabench.testing.check_algorithm`."""
    known_checks(checks)
    info, made = _described(algorithm, declared)
    with torch.random.fork_rng():
        return {
            kind: run_checks(synthetic_subject(info, made, kind), checks)
            for kind in info.task_kinds
        }


def _described(
    algorithm: str | AlgorithmInfo | type[Algorithm[Any]], declared: Mapping[str, Any]
) -> tuple[AlgorithmInfo, type[Algorithm[Any]]]:
    """Return the descriptor and the class of what was named."""
    if isinstance(algorithm, type):
        known = {field.name for field in fields(AlgorithmInfo)} - {"name", "summary", "target"}
        for name in declared:
            if name not in known:
                raise unknown_name("declaration", name, known)
        target = f"{algorithm.__module__}:{algorithm.__qualname__}"
        info = AlgorithmInfo(name=algorithm.__name__, summary="", target=target, **declared)
        return info, algorithm
    if declared:
        raise UsageError(
            f"{', '.join(declared)}: the descriptor of an algorithm says this already; declare it "
            "only for a class"
        )
    if isinstance(algorithm, str):
        algorithm = load_plugins().algorithm(algorithm).info
    return algorithm, resolve_target(algorithm.target)


def synthetic_subject(info: AlgorithmInfo, made: type[Algorithm[Any]], kind: TaskKind) -> Subject:
    """Build an untrained algorithm on a synthetic source.

    Args:
        info: What it declares.
        made: Its class.
        kind: The kind of task.
    """
    data, sampling = synthetic_source(kind), SAMPLINGS[kind]
    pool = data.splits["test"]
    way = pool.tasks[0].way if isinstance(pool, TaskPool) else sampling.least_way
    maps = info.features != "vector"
    torch.manual_seed(SEED)
    encoder = SyntheticEncoder() if maps or info.adapts_encoder else Embedded(WIDTH)
    spec = TaskSpec(
        kind=kind,
        way=way,
        width=encoder.width,
        encoder=encoder if info.adapts_encoder else None,
        map_shape=encoder.map_shape if maps else None,
    )
    hyper = build_hyperparameters(made.Hyperparameters, info.options, info.name)
    learner = made(spec, hyper)
    model = FewShotModel(encoder, learner, adapts_encoder=info.adapts_encoder, takes_maps=maps)
    problem = Problem(data.inputs, Compute.choose("cpu", "fp32"))
    sampler = EpisodeSampler(
        pool, sampling, source_digest=data.digest, split="test", seed=SEED, groups=data.groups
    )
    fit_features(data, Built(model, problem, hyper, sampler, accuracy))
    return Subject(model, problem, sampler, kind, info.inductive)
