"""What a new plugin may be called, and what its package and class are called then."""

from __future__ import annotations

import ast
import importlib.util
import keyword
import re
import sys
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from metabench.errors import UsageError
from metabench.registry.candidates import normalised
from metabench.registry.catalogue import Catalogue

Added = Literal["algorithm", "encoder", "source"]

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 30
FOLDERS = ("build", "dist", "results", "tests")
"""Folders of a distribution that are something else than its package."""


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
    _refuse_reserved(names, kind)
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


def _refuse_reserved(names: Names, kind: Added) -> None:
    """Refuse a name that a command or the new distribution uses for something else."""
    remedy = f"add a word, such as {names.name}-{kind}"
    if names.name == "all":
        raise UsageError(f"the name 'all' stands for every {kind} in a command; {remedy}")
    if names.package in FOLDERS:
        raise UsageError(
            f"the name {names.name!r} is that of a folder beside the package's; {remedy}"
        )
    if kind == "source":
        return  # it has no class
    problem = f"the class of {names.name!r} would be {names.cls}"
    if keyword.iskeyword(names.cls):
        raise UsageError(f"{problem}, Python's own; {remedy}")
    if names.cls in _template_names(kind):
        raise UsageError(f"{problem}, which its module or its test has already; {remedy}")


def _template_names(kind: Added) -> set[str]:
    """Return what the modules of a new plugin import or define as classes."""
    found = set()
    for file in (resources.files("metabench.scaffold") / "templates" / kind).iterdir():
        tree = ast.parse(re.sub(r"\$\w+", "filled", file.read_text("utf-8")))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                found |= {alias.asname or alias.name for alias in node.names}
            elif isinstance(node, ast.ClassDef):
                found.add(node.name)
    return found


def _is_importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return True
