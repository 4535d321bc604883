"""From what a plugin provides to the parts that cell keys are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from metabench.errors import UsageError
from metabench.hookspecs import AlgorithmInfo, Descriptor
from metabench.registry.catalogue import Catalogue, Entry
from metabench.registry.home import chosen_target, libraries_of, package_of
from metabench.runs.suite import Suite, Variant
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
    home, libraries = entry.home, libraries_of(info)
    stages = info.recipe.split("+") if isinstance(info, AlgorithmInfo) else ()
    return Part(
        info=info,
        name=name,
        distribution=entry.plugin,
        version=entry.version,
        code=home.code(info.target),
        dependencies=home.dependencies(entry.plugin),
        libraries=home.libraries(libraries),
        missing=home.missing(dict.fromkeys((*info.requires, *map(package_of, libraries)))),
        recipe_code=tuple(home.code(stage) for stage in stages if ":" in stage),
        environment=home.environment,
    )


def what_is_missing(part: Part[Any]) -> str:
    """Say which modules a part lacks, and how it gets them.

    A module that the user names may be a file of their own, and a package on an index that has its
    name a stranger's: pip is advised only for what a plugin asks for.

    Args:
        part: A part with missing modules.
    """
    own = package_of(chosen_target(part.info))
    asked = [name for name in part.missing if name != own]
    if asked:
        pip = f"{part.environment.executable} -m pip" if part.environment else "pip"
        return f"{part.name} needs {', '.join(asked)}; run `{pip} install {' '.join(asked)}`"
    if part.environment:
        return (
            f"{part.name} needs {own}, which cannot be imported in {part.environment}; install "
            "there what provides it"
        )
    return (
        f"{part.name} needs {own}, which cannot be imported here; install what provides it, or "
        f"put the folder that {own} is in on PYTHONPATH"
    )


def with_variants(
    catalogue: Catalogue, suite: Suite, own: Mapping[str, Variant] | None = None
) -> Catalogue:
    """Add the variants of the suite and the user's own to the algorithms.

    Args:
        catalogue: What is installed.
        suite: The suite.
        own: The user's.

    Returns:
        A catalogue in which each variant is an algorithm like any other.

    Raises:
        UsageError: If a variant's name is taken, or there is no such algorithm.
    """
    added: dict[str, Entry[AlgorithmInfo]] = {}
    places = [(f"suite {suite.name!r}, variant", suite.variants), ("algorithm", own or {})]
    for what, variants in places:
        for name, variant in variants.items():
            place = f"{what} {name!r}"
            if (taken := catalogue.algorithms.get(name)) is not None:
                owner = taken.plugin
                raise UsageError(f"{place}: {owner} has an algorithm of that name; rename it")
            if name in added:
                raise UsageError(
                    f"{place}: the suite {suite.name!r} has a variant of that name; rename it"
                )
            try:
                base = catalogue.algorithm(variant.algorithm)
            except UsageError as error:
                raise UsageError(f"{place}: {error}") from None
            added[name] = replace(base, info=_varied(base.info, name, variant))
    return replace(catalogue, algorithms={**catalogue.algorithms, **added}) if added else catalogue


def _varied(info: AlgorithmInfo, name: str, variant: Variant) -> AlgorithmInfo:
    """Return a variant's descriptor; an argument has become one of its options."""
    own, (_, colon, argument) = variant.options, variant.algorithm.partition(":")
    settings = ", ".join(f"{option} = {value!r}" for option, value in own.items())
    chosen = {"argument": argument} if colon else {}
    return replace(
        info,
        name=name,
        summary=f"{variant.algorithm} with {settings}" if settings else variant.algorithm,
        argument="",
        options={**info.options, **chosen, **own},
        suites=("*",) if colon else info.suites,
    )
