"""The descriptors: light to import, accepted by the registry, pointing at things that exist."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from metabench.registry.checks import descriptor_faults
from metabench_molecules import plugin

INFOS = [*plugin.metabench_task_sources(), *plugin.metabench_encoders()]


@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
def test_target_exists(info):
    assert not descriptor_faults(info)
    assert info.requires == ("rdkit",)
    module, _, name = info.target.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_importing_the_plugin_imports_nothing_heavy():
    code = (
        "import metabench_molecules.plugin as m, sys;"
        "list(m.metabench_task_sources()), list(m.metabench_encoders());"
        "print({'torch', 'numpy', 'rdkit'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert run.stdout.strip() == "set()"


def test_modules_are_short():
    for file in Path(plugin.__file__).parent.rglob("*.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) < 300, file
