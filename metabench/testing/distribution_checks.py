"""Examining a plugin as a whole: its import, descriptors, targets, dependencies and metadata."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from metabench.errors import MetabenchError
from metabench.hookspecs import AlgorithmInfo, Descriptor, MetricInfo, TaskSourceInfo
from metabench.leaderboard.audits import Finding
from metabench.registry.candidates import CORE, Candidate, normalised
from metabench.registry.catalogue import Catalogue, Problem
from metabench.registry.checks import RECIPES
from metabench.registry.discovery import load_plugins
from metabench.registry.loading import Provision, load
from metabench.registry.source_code import code_files, imported_packages
from metabench.registry.targets import missing_modules, resolve_target
from metabench.testing.names import PLUGIN_CHECKS
from metabench.testing.probe import SLOW, Imported, import_elsewhere
from metabench.testing.unpickling import unsafe_calls

LONG = 100
"""Characters that a summary may have."""
PICKLED = (".joblib", ".pickle", ".pkl", ".pt", ".pth")


class PluginSubject:
    """A plugin, imported elsewhere first: one that ends its process cannot be loaded in ours.

    Args:
        candidate: Its entry point.
    """

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate

    @cached_property
    def imported(self) -> Imported:
        """What importing it in a new process did."""
        return import_elsewhere(self.candidate)

    @cached_property
    def outcome(self) -> Provision | Problem | None:
        """What it provides, or why it is left out; ``None`` if it cannot be imported."""
        return None if self.imported.error else load(self.candidate)

    @cached_property
    def catalogue(self) -> Catalogue:
        """What all installed plugins provide."""
        return load_plugins()

    @property
    def descriptors(self) -> tuple[Descriptor, ...]:
        """Everything that it yields; nothing if it is left out."""
        if not isinstance(self.outcome, Provision):
            return ()
        return tuple(info for infos in self.outcome.descriptors.values() for info in infos)

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of its entry point, its targets and its recipes."""
        named = [self.candidate.value, *(info.target for info in self.descriptors)]
        named += [stage for stage in self._recipes() if stage not in RECIPES]
        return tuple(dict.fromkeys(name.partition(":")[0] for name in named))

    def _recipes(self) -> Iterator[str]:
        for info in self.descriptors:
            if isinstance(info, AlgorithmInfo):
                yield from info.recipe.split("+")


def _finding(check: str, faults: list[str], detail: str = "") -> Finding:
    """Return a violation if there are faults."""
    if faults:
        return Finding(
            check=check, outcome="violated", detail="; ".join(faults), value=float(len(faults))
        )
    return Finding(check=check, outcome="passed", detail=detail)


def _noted(check: str, detail: str) -> Finding:
    return Finding(check=check, outcome="measured", detail=detail)


def _imports(subject: PluginSubject) -> Finding:
    return _finding("imports", [subject.imported.error] if subject.imported.error else [])


def _import_cost(subject: PluginSubject) -> Finding:
    found = subject.imported
    faults = [f"it loads {', '.join(found.heavy)}"] if found.heavy else []
    if found.seconds > SLOW:
        faults.append(f"it takes {found.seconds:.1f} seconds")
    return _finding("import-cost", faults, f"{1000 * found.seconds:.0f} ms")


def _stdout(subject: PluginSubject) -> Finding:
    lines = subject.imported.printed.splitlines()
    return _finding("stdout", [f"it prints {lines[0][:60]!r}"] if lines else [])


def _registers(subject: PluginSubject) -> Finding:
    if isinstance(subject.outcome, Problem):
        return _finding("registers", [subject.outcome.message])
    mine = [p for p in subject.catalogue.problems if p.plugin == subject.candidate.distribution]
    faults = [problem.message for problem in mine if not problem.notice]
    if not faults and mine:
        return _noted("registers", "; ".join(problem.message for problem in mine))
    counts = f"{len(subject.descriptors)} descriptors"
    return _finding("registers", faults, counts)


def _descriptors(subject: PluginSubject) -> Finding:
    faults, notes = [], []
    for info in subject.descriptors:
        if len(info.summary) > LONG:
            faults.append(f"the summary of {info.name} has {len(info.summary)} characters")
        if info.summary.endswith("."):
            faults.append(f"the summary of {info.name} ends with a full stop")
        if isinstance(info, MetricInfo):
            continue
        absent = [field for field in ("citation", "licence") if not getattr(info, field)]
        said = f"{info.name} has no {' and no '.join(absent)}"
        if absent and isinstance(info, TaskSourceInfo):
            faults.append(said)
        elif absent:
            notes.append(said)
    if notes and not faults:
        return _noted("descriptors", "; ".join(notes))
    return _finding("descriptors", faults + notes * bool(faults), f"{len(subject.descriptors)}")


def _targets(subject: PluginSubject) -> Finding:
    faults, absent = [], []
    for info in subject.descriptors:
        if missing := missing_modules(info.requires):
            absent.append(f"{info.name} needs {', '.join(missing)}, not installed here")
        elif fault := _target_fault(info):
            faults.append(f"{info.name}: {fault}")
    if absent and not faults:
        return _noted("targets", "; ".join(absent))
    return _finding("targets", faults, f"{len(subject.descriptors)}")


def _target_fault(info: Descriptor) -> str:
    from metabench.learners.contracts import Algorithm  # noqa: PLC0415 - needs torch

    try:
        made = resolve_target(info.target)
        if isinstance(info, AlgorithmInfo):
            for stage in info.recipe.split("+"):
                if stage not in RECIPES:
                    resolve_target(stage)
            if not (isinstance(made, type) and issubclass(made, Algorithm)):
                return f"{info.target} is no subclass of metabench.learners.contracts.Algorithm"
    except MetabenchError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the finding
        return f"importing {info.target} raised {type(error).__name__}: {error}"
    return "" if callable(made) else f"{info.target} is {type(made).__name__} and cannot be called"


def _dependencies(subject: PluginSubject) -> Finding:
    required = _closure(_requirements(subject.candidate.distribution) | {CORE})
    required.add(normalised(subject.candidate.distribution))
    optional = {name.partition(".")[0] for info in subject.descriptors for name in info.requires}
    own = {module.partition(".")[0] for module in subject.modules}
    imported = set().union(*map(imported_packages, subject.modules)) - own - optional
    providers = importlib.metadata.packages_distributions()
    faults = []
    for name in sorted(imported - set(sys.stdlib_module_names)):
        candidates = {normalised(found) for found in providers.get(name, [name])}
        if candidates.isdisjoint(required):
            faults.append(f"it imports {name} and does not require {' or '.join(candidates)}")
    return _finding("dependencies", faults, ", ".join(sorted(imported & set(providers))))


def _requirements(distribution: str, *, extras: bool = True) -> set[str]:
    """Return the names of a distribution's requirements, those of its extras included."""
    try:
        found = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return set()
    kept = [line for line in found if extras or "extra ==" not in line]
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in kept)
    return {normalised(match[0]) for match in names if match}


def _closure(names: set[str]) -> set[str]:
    """Add what distributions require, and what those require."""
    found: set[str] = set()
    pending = set(names)
    while pending:
        name = pending.pop()
        found.add(name)
        pending |= _requirements(name, extras=False) - found
    return found


def _no_pickle(subject: PluginSubject) -> Finding:
    files = set().union(*map(code_files, subject.modules))
    faults = [
        fault for file in sorted(files) if file.suffix == ".py" for fault in unsafe_calls(file)
    ]
    folders = {file.parent for file in files if (file.parent / "__init__.py") in files}
    for folder in sorted(folders):
        faults += [f"it carries {path.name}" for path in folder.rglob("*") if _is_pickled(path)]
    return _finding("no-pickle", list(dict.fromkeys(faults)), f"{len(files)} files")


def _is_pickled(path: Path) -> bool:
    return path.suffix in PICKLED and path.is_file()


def _metadata(subject: PluginSubject) -> Finding:
    found: Any = importlib.metadata.metadata(subject.candidate.distribution)
    faults = []
    if CORE not in _requirements(subject.candidate.distribution):
        faults.append("it does not require metabench")
    licences = [c for c in found.get_all("Classifier") or [] if c.startswith("License")]
    if not (found.get("License-Expression") or found.get("License") or licences):
        faults.append("it names no licence")
    if not found.get("Summary"):
        faults.append("it has no description")
    return _finding("metadata", faults)


_FUNCTIONS: Mapping[str, Callable[[PluginSubject], Finding]] = dict(
    zip(
        PLUGIN_CHECKS,
        (
            _imports,
            _import_cost,
            _stdout,
            _registers,
            _descriptors,
            _targets,
            _dependencies,
            _no_pickle,
            _metadata,
        ),
        strict=True,
    )
)
_ANYWAY = ("imports", "stdout", "metadata")
_UNLOADED = ("import-cost", "registers")


def run_plugin_check(subject: PluginSubject, name: str) -> Finding:
    """Run one of the checks in ``PLUGIN_CHECKS``.

    Args:
        subject: What is examined.
        name: The check.
    """
    if name not in _ANYWAY and subject.imported.error:
        return Finding(check=name, outcome="inapplicable", detail="it cannot be imported")
    if name not in _ANYWAY + _UNLOADED and not isinstance(subject.outcome, Provision):
        return Finding(check=name, outcome="inapplicable", detail="it is left out: see registers")
    return _FUNCTIONS[name](subject)
