"""What a new plugin may be called, and what its package and class are called then."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from dataclasses import dataclass
from typing import Literal

from metabench.errors import UsageError
from metabench.registry.candidates import normalised
from metabench.registry.catalogue import Catalogue

Added = Literal["algorithm", "encoder", "source"]

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 30


@dataclass(frozen=True)
class Names:
    """The names of a new plugin.

    Attributes:
        name: Of the distribution, the entry point and what it adds: ``nearest-median``.
        package: ``nearest_median``.
        cls: ``NearestMedian``.
    """

    name: str

    @property
    def package(self) -> str:
        """The name of the Python package."""
        return self.name.replace("-", "_")

    @property
    def cls(self) -> str:
        """The name of the class."""
        return "".join(part.capitalize() for part in self.name.split("-"))


def checked_name(name: str, kind: Added, catalogue: Catalogue) -> Names:
    """Check that a name is well-formed and free.

    Args:
        name: As the user typed it.
        kind: What the plugin adds.
        catalogue: What is installed.

    Returns:
        The names that follow from it.

    Raises:
        UsageError: If it is not well-formed, or is taken.
    """
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        rule = f"is not lower-case words joined by hyphens, {LONGEST} characters at most"
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST].strip("-")
        hint = f"; did you mean {near}?" if NAME.fullmatch(near) else ", such as nearest-median"
        raise UsageError(f"the name {name!r} {rule}{hint}")
    names = Names(name)
    if keyword.iskeyword(names.package) or names.package in sys.stdlib_module_names:
        raise UsageError(f"the name {name!r} is Python's own; add a word, such as {name}-{kind}")
    entries = {
        "algorithm": catalogue.algorithms,
        "encoder": catalogue.encoders,
        "source": catalogue.sources,
    }[kind]
    if name in entries:
        entry = entries[name]
        raise UsageError(f"{entry.plugin} {entry.version} has the {kind} {name!r}; choose another")
    for plugin in catalogue.plugins:
        if normalised(name) in {normalised(plugin.name), normalised(plugin.distribution)}:
            raise UsageError(
                f"the plugin {plugin.distribution} {plugin.version} has the name {name!r}; "
                "choose another"
            )
    if _is_importable(names.package):
        raise UsageError(
            f"the name {name!r} is taken: Python finds a module {names.package} already; "
            f"add a word, such as {name}-{kind}"
        )
    return names


def _is_importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return True
