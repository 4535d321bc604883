"""What another interpreter tells of its plugins; runs there, see `metabench.registry.elsewhere`.

It reads a question from stdin and writes the answer to stdout, both JSON. It imports the module of
the plugin's entry point and nothing that the descriptors name.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from metabench.hookspecs import AlgorithmInfo, Descriptor
from metabench.registry.candidates import Candidate, find_candidates, normalised
from metabench.registry.catalogue import Problem
from metabench.registry.home import HERE, libraries_of
from metabench.registry.loading import Provision, load

VERSIONED = ("torch", "numpy")


def main() -> None:
    """Answer one question."""
    question = json.load(sys.stdin)
    out = os.dup(1)
    os.dup2(2, 1)  # what a plugin prints is no part of the answer
    answer = plugin(question["plugin"]) if "plugin" in question else facts(question)
    with os.fdopen(out, "w", encoding="utf-8") as stream:
        json.dump(answer, stream)


def plugin(name: str) -> dict[str, Any]:
    """Describe a plugin: what it provides, and all that enters cell keys.

    Args:
        name: The name of a distribution, or of its entry point.
    """
    candidates, _ = find_candidates()
    outcomes = [load(one) for one in candidates if one.answers_to({normalised(name)})]
    provisions = [one for one in outcomes if isinstance(one, Provision)]
    infos = [
        info
        for provision in provisions
        for descriptors in provision.descriptors.values()
        for info in descriptors
    ]
    return {
        "known": sorted({known for one in candidates for known in (one.name, one.distribution)}),
        "plugins": [
            {
                "candidate": _origin(provision.candidate),
                "descriptors": {
                    kind: [asdict(info) for info in descriptors]
                    for kind, descriptors in provision.descriptors.items()
                },
            }
            for provision in provisions
        ],
        "problems": [asdict(one) for one in outcomes if isinstance(one, Problem)],
        "versions": {"python": platform.python_version(), **_versions()},
        "facts": facts(
            {
                "code": [target for info in infos for target in _targets(info)],
                "dependencies": [provision.candidate.distribution for provision in provisions],
                "libraries": [name for info in infos for name in libraries_of(info)],
                "installed": [name for info in infos for name in info.requires],
            }
        ),
    }


def facts(question: Mapping[str, list[str]]) -> dict[str, dict[str, Any]]:
    """Answer what `metabench.registry.home.Home` asks, by question and name.

    Args:
        question: Targets, distributions, packages and modules.
    """
    modules = question.get("installed", [])
    missing = HERE.missing(modules)
    return {
        "code": {target: HERE.code(target) for target in question.get("code", [])},
        "dependencies": {
            name: dict(HERE.dependencies(name)) for name in question.get("dependencies", [])
        },
        "libraries": {
            name: next(iter(HERE.libraries([name]).values()))
            for name in question.get("libraries", [])
        },
        "installed": {name: name not in missing for name in modules},
    }


def _origin(candidate: Candidate) -> dict[str, str]:
    return {
        "name": candidate.name,
        "value": candidate.value,
        "distribution": candidate.distribution,
        "version": candidate.version,
    }


def _targets(info: Descriptor) -> tuple[str, ...]:
    stages = info.recipe.split("+") if isinstance(info, AlgorithmInfo) else ()
    return (info.target, *(stage for stage in stages if ":" in stage))


def _versions() -> dict[str, str]:
    found = {}
    for name in VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
