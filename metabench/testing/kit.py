"""Examining one algorithm on synthetic episodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

import torch

from metabench.errors import UsageError, unknown_name
from metabench.hookspecs import AlgorithmInfo, Descriptor, TaskKind
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
from metabench.testing.contract_checks import Learner, run_contract_check
from metabench.testing.names import CHECKS, CONTRACT, MEASURED, chosen_checks
from metabench.testing.subject import Subject
from metabench.testing.synthetic import SAMPLINGS, WIDTH, SyntheticEncoder, synthetic_source

D = TypeVar("D", bound=Descriptor)

SEED = 0


def examine(
    algorithm: str | AlgorithmInfo | type[Algorithm[Any]],
    checks: tuple[str, ...],
    declared: Mapping[str, Any],
) -> dict[str, tuple[Finding, ...]]:
    """Run checks for every kind of task; see `metabench.testing.check_algorithm`."""
    chosen = chosen_checks(checks, (*CONTRACT, *CHECKS, *MEASURED))
    info, made = _described(algorithm, declared)
    with torch.random.fork_rng():
        return {
            kind: findings_on(synthetic_learner(info, made, kind), chosen)
            for kind in info.task_kinds
        }


def findings_on(learner: Learner, checks: Iterable[str]) -> tuple[Finding, ...]:
    """Run checks on one kind of task.

    Args:
        learner: What is examined.
        checks: Names out of ``CONTRACT``, ``CHECKS`` and ``MEASURED``.
    """
    contract = [run_contract_check(learner, name) for name in checks if name in CONTRACT]
    behaviour = [name for name in checks if name not in CONTRACT]
    return (*contract, *(run_checks(learner.subject, behaviour) if behaviour else ()))


def synthetic_learner(info: AlgorithmInfo, made: type[Algorithm[Any]], kind: TaskKind) -> Learner:
    """Build an untrained algorithm on a synthetic source, so that it can be built again."""
    return Learner(
        info, synthetic_subject(info, made, kind), lambda: synthetic_subject(info, made, kind)
    )


def _described(
    algorithm: str | AlgorithmInfo | type[Algorithm[Any]], declared: Mapping[str, Any]
) -> tuple[AlgorithmInfo, type[Algorithm[Any]]]:
    """Return the descriptor and the class of what was named."""
    if isinstance(algorithm, type):
        made = expected(algorithm, Algorithm)
        return described(AlgorithmInfo, made, declared), made
    if not isinstance(algorithm, str | AlgorithmInfo):
        raise no_subject(algorithm, "algorithm", "a class")
    refuse_declared("algorithm", declared)
    if isinstance(algorithm, str):
        algorithm = load_plugins().algorithm(algorithm).info
    return algorithm, expected(resolve_target(algorithm.target), Algorithm)


def expected(made: Any, base: type[Any]) -> Any:
    """Return a class that is to be examined.

    Args:
        made: What was given, or what a target names.
        base: What it should be a subclass of.

    Raises:
        UsageError: If it is not.
    """
    if isinstance(made, type) and issubclass(made, base):
        return made
    name = getattr(made, "__qualname__", repr(made))
    whole = f"{base.__module__}.{base.__qualname__}"
    raise UsageError(f"{name} is no subclass of {whole}; derive the class that is checked from it")


def no_subject(given: Any, kind: str, made: str) -> UsageError:
    """Describe what is none of the things that can be examined.

    Args:
        given: What was given.
        kind: What was wanted, such as ``algorithm``.
        made: What implements one: ``a class``.
    """
    return UsageError(
        f"{given!r:.60} is no {kind}; give the name of an installed {kind}, a descriptor or {made}"
    )


def described(kind: type[D], made: Any, declared: Mapping[str, Any]) -> D:
    """Return a descriptor for a class or a function that has none.

    Args:
        kind: The descriptor's class.
        made: The class or the function.
        declared: Fields of the descriptor other than its name, summary and target.

    Raises:
        UsageError: If there is no such field.
    """
    known = {field.name for field in fields(kind)} - {"name", "summary", "target"}
    for name in declared:
        if name not in known:
            raise unknown_name("declaration", name, known)
    target = f"{made.__module__}:{made.__qualname__}"
    return kind(name=made.__name__, summary="", target=target, **declared)


def refuse_declared(kind: str, declared: Mapping[str, Any]) -> None:
    """Refuse declarations where there is a descriptor.

    Raises:
        UsageError: If anything is declared.
    """
    if declared:
        raise UsageError(
            f"{', '.join(declared)}: the descriptor of an {kind} says this already; declare it "
            "only for a class"
        )


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
