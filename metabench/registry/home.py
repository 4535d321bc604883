"""What of an installation enters cell keys: the code behind targets, and versions of packages."""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from metabench.errors import MetabenchError
from metabench.hookspecs import ChosenInfo, Descriptor
from metabench.registry.checks import TARGET
from metabench.registry.targets import code_digest, missing_modules


@dataclass(frozen=True)
class Environment:
    """Another interpreter, in which the cells of one plugin run.

    Attributes:
        name: The plugin, as the user calls it.
        python: The interpreter or folder, as the user wrote it.
        executable: The interpreter's path.
        versions: Those of ``python``, ``torch`` and ``numpy`` there.
    """

    name: str
    python: str
    executable: str
    versions: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        """Return how errors name it."""
        return f"the environment of {self.name} ({self.python})"

    def variables(self) -> dict[str, str]:
        """Return the environment variables of a process there: without our own search path."""
        ours = {"PYTHONPATH", "PYTHONHOME", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__"}
        return {name: value for name, value in os.environ.items() if name not in ours}


class Home(Protocol):
    """The installation that a plugin lives in: that of this interpreter or of another."""

    @property
    def environment(self) -> Environment | None:
        """The other interpreter; ``None`` for this one."""

    def code(self, target: str) -> str:
        """Return the digest of the code behind a target; empty if it cannot be found."""

    def dependencies(self, distribution: str) -> Mapping[str, str]:
        """Return the installed versions of a distribution's own requirements."""

    def libraries(self, names: Iterable[str]) -> Mapping[str, str]:
        """Return what identifies packages, by name: their versions, or else their code."""

    def missing(self, modules: Iterable[str]) -> tuple[str, ...]:
        """Return the modules that are not installed."""


class Here:
    """The installation of this interpreter; nothing of it is imported."""

    environment: Environment | None = None

    def code(self, target: str) -> str:
        """Return the digest of the code behind a target; empty if it cannot be found."""
        try:
            return code_digest(target)
        except MetabenchError:
            return ""  # the worker says what is wrong with the target

    def dependencies(self, distribution: str) -> Mapping[str, str]:
        """Return the installed versions of a distribution's own requirements."""
        return _dependencies(distribution)

    def libraries(self, names: Iterable[str]) -> Mapping[str, str]:
        """Return what identifies packages, by name: their versions, or else their code.

        A module that no distribution lists, one of the user's own or an editable installation, is
        as new as the code behind what is taken from it.

        Args:
            names: Packages, or targets in them.
        """
        return {package_of(name): _library(name) for name in names}

    def missing(self, modules: Iterable[str]) -> tuple[str, ...]:
        """Return the modules that are not installed."""
        return missing_modules(modules)


HERE = Here()


def libraries_of(info: Descriptor) -> tuple[str, ...]:
    """Return the packages, or targets, whose versions enter the key beside the plugin's own.

    Args:
        info: A descriptor, with the argument of ``name:ARGUMENT`` among its options.
    """
    if not isinstance(info, ChosenInfo):
        return ()
    named = chosen_target(info)
    return (*info.libraries, named) if named else info.libraries


def chosen_target(info: Descriptor) -> str:
    """Return the argument of ``name:ARGUMENT`` if it is a target; else nothing.

    Args:
        info: A descriptor, with the argument among its options.
    """
    argument = str(info.options.get("argument", ""))
    return argument if isinstance(info, ChosenInfo) and TARGET.fullmatch(argument) else ""


def package_of(name: str) -> str:
    """Return the top-level package of a dotted name or target."""
    return re.split(r"[.:]", name, maxsplit=1)[0]


def _library(name: str) -> str:
    for distribution in _distributions().get(package_of(name), ()):
        return f"{distribution} {importlib.metadata.version(distribution)}"
    return HERE.code(name)


@lru_cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


@lru_cache
def _dependencies(distribution: str) -> Mapping[str, str]:
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
