"""Finding installed plugins by their metadata, without importing any of them."""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from metabench.errors import UsageError, unknown_name
from metabench.registry.catalogue import Problem, describe_exception
from metabench.registry.home import HERE, Home

GROUP = "metabench"
CORE = "metabench"
DISABLE_VARIABLE = "METABENCH_DISABLE_PLUGINS"
ALLOW_VARIABLE = "METABENCH_PLUGINS"


@dataclass(frozen=True)
class Candidate:
    """An entry point in the group ``metabench``.

    Attributes:
        name: The entry point's name.
        value: What it points to, such as ``my_package.plugin``.
        distribution: The distribution that declares it.
        version: The version of that distribution.
        home: The installation that it is part of.
    """

    name: str
    value: str
    distribution: str
    version: str
    home: Home = HERE

    @property
    def label(self) -> str:
        """The distribution, its version and, where it differs, the entry point's name."""
        label = f"{self.distribution} {self.version}"
        return label if self.name == self.distribution else f"{label} ({self.name})"

    def answers_to(self, names: Iterable[str]) -> bool:
        """Whether one of the normalised names means this plugin."""
        return not {normalised(self.name), normalised(self.distribution)}.isdisjoint(names)

    def problem(self, message: str) -> Problem:
        """Report what is wrong with this plugin."""
        return Problem(self.distribution, self.version, message)

    def notice(self, message: str) -> Problem:
        """Report something of this plugin for which it is not left out."""
        return Problem(self.distribution, self.version, message, notice=True)

    def left_out(self, fault: str, remedy: str = "update or uninstall it") -> Problem:
        """Report that this plugin is left out, why, and what to do."""
        return self.problem(f"{fault}; it is left out: {remedy}, or hide it with -p no:{self.name}")


def normalised(name: str) -> str:
    """Return a distribution or plugin name as the packaging standards compare it."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def find_candidates() -> tuple[list[Candidate], list[Problem]]:
    """Read the metadata of every distribution on ``sys.path``.

    A distribution that is found twice, such as an editable install beside a wheel, counts once:
    as the one whose metadata come first on the path.

    Returns:
        The entry points, sorted by distribution and name, and what could not be read.
    """
    candidates: set[Candidate] = set()
    problems: set[Problem] = set()
    seen: set[str] = set()
    for found in importlib.metadata.distributions():
        try:
            if f"[{GROUP}]" not in (found.read_text("entry_points.txt") or ""):
                continue
            name = found.metadata["Name"]
            if normalised(name) in seen:
                continue
            seen.add(normalised(name))
            first = importlib.metadata.distribution(name)
            candidates.update(_entry_points(first))
        except Exception as error:  # noqa: BLE001 - one unreadable distribution must not end the rest
            where = getattr(found, "_path", "a distribution on sys.path")
            problems.add(
                Problem(
                    str(where),
                    "unknown",
                    f"its metadata cannot be read ({describe_exception(error)}); it is left out: "
                    "reinstall it",
                )
            )
    ordered = sorted(candidates, key=lambda c: (normalised(c.distribution), c.name, c.value))
    return ordered, sorted(problems, key=str)


def _entry_points(distribution: importlib.metadata.Distribution) -> Iterator[Candidate]:
    for point in distribution.entry_points:
        if point.group == GROUP:
            yield Candidate(
                point.name, point.value, distribution.metadata["Name"], distribution.version
            )


def first_party() -> frozenset[str]:
    """Return the distributions that metabench itself requires or names in its extras."""
    try:
        requirements = importlib.metadata.requires(CORE) or []
    except importlib.metadata.PackageNotFoundError:
        requirements = []
    names = (re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements)
    return frozenset({CORE, *(normalised(match[0]) for match in names if match)})


def switched_on(
    candidates: list[Candidate], disabled: Iterable[str]
) -> tuple[list[Candidate], list[Problem]]:
    """Apply the switches.

    ``-p no:NAME`` and ``METABENCH_DISABLE_PLUGINS`` (``*`` is every plugin but metabench itself)
    win over the allow-list ``METABENCH_PLUGINS``. A name is that of a distribution or of its entry
    point.

    Args:
        candidates: Every plugin that was found.
        disabled: Names from ``-p no:NAME``.

    Returns:
        The candidates that stay on, and the names of the allow-list that nothing answers to.

    Raises:
        UsageError: If a name in ``disabled`` is not that of a plugin.
    """
    known = {c.name for c in candidates} | {c.distribution for c in candidates}
    off = {normalised(name) for name in disabled}
    for name in disabled:
        if normalised(name) == CORE:
            raise UsageError("-p no:metabench: metabench itself cannot be turned off")
        if normalised(name) not in {normalised(k) for k in known}:
            raise unknown_name("plugin", name, known)
    from_environment = _names(DISABLE_VARIABLE)
    if "*" in from_environment:
        return [], []
    off |= {normalised(name) for name in from_environment}
    kept = [candidate for candidate in candidates if not candidate.answers_to(off)]
    allowed = _names(ALLOW_VARIABLE)
    if not allowed:
        return kept, []
    only = {normalised(name) for name in allowed}
    missing = [
        Problem(
            name, "unknown", f"{ALLOW_VARIABLE} asks for it: {unknown_name('plugin', name, known)}"
        )
        for name in allowed
        if normalised(name) not in {CORE, *(normalised(k) for k in known)}
    ]
    return [candidate for candidate in kept if candidate.answers_to(only)], missing


def _names(variable: str) -> list[str]:
    return [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]
