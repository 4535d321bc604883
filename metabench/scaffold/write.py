"""Filling the templates and writing the folder, whole or not at all."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from string import Template
from typing import cast

import metabench
from metabench.errors import MetabenchError, UsageError, unknown_name
from metabench.hookspecs import API_VERSION
from metabench.registry.catalogue import Catalogue
from metabench.registry.discovery import load_plugins
from metabench.scaffold.names import Added, Names, checked_name

LICENCES = ("MIT", "Apache-2.0", "BSD-3-Clause")
MODALITY = "image"
"""Of an encoder, if none is named."""
COMPANIONS = ("protonet", "nearest-neighbour", "chance")
"""Learners to compare with in the suggested run, where they are installed."""

_MODULES: Mapping[Added, str] = {"algorithm": "learner", "encoder": "encoder", "source": "data"}
_SUMMARIES: Mapping[Added, str] = {
    "algorithm": "nearest class mean, shrunken towards the common mean",
    "encoder": "perceptron on normalised inputs",
    "source": "clouds of points on a curved sheet, generated",
}
_INTROS: Mapping[Added, str] = {
    "algorithm": (
        "A learner for metabench, the few-shot learning benchmark: the nearest class mean, each "
        "mean drawn a\nlittle towards the mean of all support examples."
    ),
    "encoder": (
        "An encoder for metabench, the few-shot learning benchmark: a small trainable network on "
        "the raw numbers\nof an example of the modality `{modality}`."
    ),
    "source": (
        "A task source for metabench, the few-shot learning benchmark: a synthetic data set of 40 "
        "classes,\nclouds of points on a curved sheet. It stands in for nothing real."
    ),
}
_DEPENDENCIES: Mapping[Added, tuple[str, ...]] = {
    "algorithm": ("torch>=2.6",),
    "encoder": ("torch>=2.6",),
    "source": ("numpy>=1.26", "torch>=2.6"),
}


@dataclass(frozen=True)
class Written:
    """A new plugin on disk.

    Attributes:
        folder: Where it lies.
        files: Its files, below the folder, sorted.
        commands: What to type next.
    """

    folder: Path
    files: tuple[str, ...]
    commands: tuple[str, ...]


def write_plugin(
    name: str,
    kind: str,
    folder: Path | None = None,
    *,
    licence: str = LICENCES[0],
    modality: str = "",
) -> Written:
    """Write a complete small distribution.

    Args:
        name: Of the distribution, its entry point and what it adds.
        kind: ``algorithm``, ``encoder`` or ``source``.
        folder: The new folder; by default the name, below the current one.
        licence: One of ``LICENCES``.
        modality: What an encoder accepts; by default ``MODALITY``.

    Returns:
        What was written.

    Raises:
        UsageError: If the name is not well-formed or taken, the folder exists, or no installed
            source has the modality.
        MetabenchError: If the folder cannot be written; then nothing of it is left.
    """
    if kind not in _MODULES:
        raise unknown_name("kind of plugin", kind, _MODULES)
    if licence not in LICENCES:
        raise unknown_name("licence", licence, LICENCES)
    added = cast("Added", kind)
    catalogue = load_plugins()
    names = checked_name(name, added, catalogue)
    if modality and added != "encoder":
        raise UsageError(
            f"--modality {modality!r} is for encoders only; leave it out with --{kind}"
        )
    target = folder if folder is not None else Path(name)
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} exists already and is left as it is; name another with --out")
    if blocked := [p for p in target.absolute().parents if p.exists() and not p.is_dir()]:
        raise UsageError(f"{blocked[0]} is no folder, so {target} cannot be made in it")
    accepted = modality or MODALITY
    origins = _origins(catalogue, accepted) if added == "encoder" else ()
    run = _run_command(names, added, catalogue, accepted)
    values = {
        **_values(names, added),
        "licence": licence,
        "modality": accepted,
        "intro": _INTROS[added].format(modality=accepted),
        "test_dependencies": "".join(f', "{origin}"' for origin in origins),
        "run": run,
    }
    contents = {
        path: _filled(template, values) for path, template in _layout(names, added, licence)
    }
    _write(target, contents)
    install = f"pip install -e {shlex.quote(f'{target}[test]')}"
    commands = (install, f"pytest {shlex.quote(str(target))}", run)
    return Written(target, tuple(sorted(contents)), commands)


def _origins(catalogue: Catalogue, modality: str) -> tuple[str, ...]:
    """Return the distribution whose sources an encoder of the modality can be tested on.

    Raises:
        UsageError: If there is none.
    """
    entries = catalogue.sources.values()
    if modality not in {entry.info.modality for entry in entries}:
        known = {entry.info.modality for entry in entries}
        error = unknown_name("modality", modality, known)
        raise UsageError(f"no installed source has it: {error}")
    with_data = [e.plugin for e in entries if e.info.modality == modality and not e.info.files]
    return tuple(dict.fromkeys(with_data))[:1]


def _run_command(names: Names, kind: Added, catalogue: Catalogue, modality: str) -> str:
    others = [name for name in COMPANIONS if name in catalogue.algorithms]
    algorithms = [names.name, *others] if kind == "algorithm" else others
    parts = ["metabench run"]
    if kind == "encoder":
        parts.append(f"--encoders {names.name}")
    if kind == "source":
        parts.append(f"--sources {names.name}")
    else:
        own = [
            name
            for name, entry in catalogue.sources.items()
            if "quick" in entry.info.suites and entry.info.task_kind == "classification"
            and entry.info.modality == (modality if kind == "encoder" else entry.info.modality)
        ]  # fmt: skip
        parts += [f"--sources {own[0]}"] if own else []
    if algorithms:
        parts.append(f"--algorithms {','.join(algorithms)}")
    return " ".join(parts)


def _values(names: Names, kind: Added) -> dict[str, str]:
    summary = _SUMMARIES[kind]
    return {
        "name": names.name,
        "package": names.package,
        "cls": names.cls,
        "kind": kind,
        "module": _MODULES[kind],
        "summary": summary,
        "summary_capital": summary[0].upper() + summary[1:],
        "api": API_VERSION,
        "metabench": metabench.__version__,
        "dependencies": ", ".join(f'"{name}"' for name in _DEPENDENCIES[kind]),
        "year": str(datetime.now(UTC).year),
    }


def _layout(names: Names, kind: Added, licence: str) -> list[tuple[str, str]]:
    """Return each file's path and its template."""
    return [
        (".github/workflows/tests.yml", "common/tests.yml"),
        (".gitignore", "common/gitignore"),
        ("LICENSE", f"licences/{licence}"),
        ("README.md", "common/README.md"),
        ("pyproject.toml", "common/pyproject.toml"),
        (f"{names.package}/__init__.py", "common/init.py"),
        (f"{names.package}/plugin.py", f"{kind}/plugin.py"),
        (f"{names.package}/{_MODULES[kind]}.py", f"{kind}/{_MODULES[kind]}.py"),
        ("tests/test_conformance.py", "common/test_conformance.py"),
        (f"tests/test_{names.package}.py", f"{kind}/test_own.py"),
    ]


def _filled(template: str, values: Mapping[str, str]) -> str:
    source = resources.files("metabench.scaffold") / "templates" / f"{template}.tmpl"
    return Template(source.read_text("utf-8")).substitute(values)


def _write(target: Path, contents: Mapping[str, str]) -> None:
    """Write all files into a temporary folder beside the target, and rename that."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:40]}."))
        try:
            for name, content in contents.items():
                path = draft / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, "utf-8")
            draft.chmod(0o755)
            draft.rename(target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    except OSError as error:
        raise MetabenchError(f"cannot write {target}: {error.strerror or error}") from error
