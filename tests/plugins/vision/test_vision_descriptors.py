"""The plugin's door: what it yields, and that it stays light."""

import hashlib
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from metabench_vision import plugin

SOURCES = list(plugin.metabench_task_sources())
ENCODERS = list(plugin.metabench_encoders())


def test_importing_the_plugin_imports_nothing_heavy():
    code = (
        "import sys, metabench_vision.plugin as p;"
        "list(p.metabench_task_sources()); list(p.metabench_encoders());"
        "print(*{n.split('.')[0] for n in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "PIL", "matplotlib", "sklearn", "scipy", "transformers", "pandas"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize("info", [*SOURCES, *ENCODERS], ids=lambda info: info.name)
def test_every_target_exists(info):
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*", info.name)
    module, _, name = info.target.partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    assert info.summary
    assert len(info.summary) <= 100


def test_quick_needs_no_files_and_names_are_unique():
    for infos in (SOURCES, ENCODERS):
        assert len({info.name for info in infos}) == len(infos)
    quick = [info for info in SOURCES if "quick" in info.suites]
    assert {info.name for info in quick} == {"glyphs", "digits"}
    assert not any(info.files for info in quick)


@pytest.mark.real_data
def test_declared_digests_are_those_of_the_files(vision_data):
    checked = 0
    for info in SOURCES:
        for file in info.files:
            path = vision_data.joinpath(*Path(file.path).parts)
            if file.sha256 and path.exists():
                assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256, file.path
                checked += 1
    assert checked >= 8
