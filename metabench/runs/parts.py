"""From what a plugin provides to the parts that cell keys are made of."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

from metabench.errors import MetabenchError, UsageError, unknown_name
from metabench.hookspecs import AlgorithmInfo, Descriptor
from metabench.registry.catalogue import Catalogue, Entry
from metabench.registry.targets import code_digest
from metabench.runs.suite import Suite
from metabench.runs.tasks import Part

D = TypeVar("D", bound=Descriptor)


def make_part(entry: Entry[D], name: str) -> Part[D]:
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
    return Part(
        info=info,
        name=name,
        distribution=entry.plugin,
        version=entry.version,
        code=code_of(info.target),
        dependencies=_dependencies(entry.plugin),
    )


def code_of(target: str) -> str:
    """Return the digest of the code behind a target; empty if it cannot be found."""
    try:
        return code_digest(target)
    except MetabenchError:
        return ""  # the worker says what is wrong with the target


def with_variants(catalogue: Catalogue, suite: Suite) -> Catalogue:
    """Add the suite's variants to the algorithms.

    Args:
        catalogue: What is installed.
        suite: The suite.

    Returns:
        A catalogue in which each variant is an algorithm like any other.

    Raises:
        UsageError: If a variant's name is taken, or there is no such algorithm.
    """
    added: dict[str, Entry[AlgorithmInfo]] = {}
    for name, variant in suite.variants.items():
        place = f"suite {suite.name!r}, variant {name!r}"
        if (taken := catalogue.algorithms.get(name)) is not None:
            raise UsageError(f"{place}: {taken.plugin} has an algorithm of that name; rename it")
        if variant.algorithm not in catalogue.algorithms:
            error = unknown_name("algorithm", variant.algorithm, catalogue.algorithms)
            raise UsageError(f"{place}: {error}")
        base = catalogue.algorithms[variant.algorithm]
        added[name] = replace(base, info=_varied(base.info, name, variant.options))
    return replace(catalogue, algorithms={**catalogue.algorithms, **added}) if added else catalogue


def _varied(info: AlgorithmInfo, name: str, options: Mapping[str, Any]) -> AlgorithmInfo:
    settings = ", ".join(f"{option} = {value!r}" for option, value in options.items())
    return replace(
        info,
        name=name,
        summary=f"{info.name} with {settings}" if settings else info.name,
        options={**info.options, **options},
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
