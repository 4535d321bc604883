"""From a descriptor's target to what it names, and to a digest of its source code."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

from metabench.errors import MetabenchError, UnavailableError
from metabench.registry.source_code import code_digest

__all__ = ["code_digest", "missing_modules", "resolve_target"]


def resolve_target(target: str) -> Any:
    """Import what a target names.

    Args:
        target: ``package.module:Name``.

    Returns:
        The object.

    Raises:
        UnavailableError: If the module, or a module that it imports, is not installed.
        MetabenchError: If the module has no such attribute.
    """
    module_name, _, attribute = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or str(error)
        top = missing.partition(".")[0]
        if missing != top and _is_installed(top):
            raise MetabenchError(
                f"{target}: {top} is installed and has no module {missing!r}; update the plugin"
            ) from error
        raise UnavailableError(
            f"{target} needs the module {missing!r}, which is not installed",
            f"install the package that provides {top}",
        ) from error
    try:
        return functools.reduce(getattr, attribute.split("."), module)
    except AttributeError as error:
        raise MetabenchError(
            f"target {target!r}: {module_name} ({getattr(module, '__file__', 'no file')}) has no "
            f"{attribute!r}; update the plugin"
        ) from error


def missing_modules(requires: Iterable[str]) -> tuple[str, ...]:
    """Say which modules are not installed; nothing is imported.

    Args:
        requires: Module names, dotted ones too.

    Returns:
        Those that cannot be found, in the given order.
    """
    return tuple(name for name in requires if not _is_installed(name))


def _is_installed(name: str) -> bool:
    if sys.modules.get(name) is not None:
        return True
    top, *rest = name.split(".")
    try:
        spec: ModuleSpec | None = importlib.util.find_spec(top)
    except ValueError:  # already imported, and without a spec
        return True
    for position in range(len(rest)):
        if spec is None or spec.submodule_search_locations is None:
            return False
        dotted = ".".join((top, *rest[: position + 1]))
        spec = PathFinder.find_spec(dotted, list(spec.submodule_search_locations))
    return spec is not None
