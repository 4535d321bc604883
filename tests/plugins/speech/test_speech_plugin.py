"""The descriptors: light to import, and pointing at things that exist."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from metabench_speech import plugin
from metabench_speech.recordings import committed_split

INFOS = [*plugin.metabench_task_sources(), *plugin.metabench_encoders()]
SIZES = {
    "arabic-commands": (24, 6, 10),
    "arabic-speakers": (18, 6, 6),
    "esc50": (35, 5, 10),
    "speech-commands": (20, 5, 10),
    "spoken-words": (72, 18, 30),
    "spoken-words-shift": (120, 24, 80),
}


@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
def test_target_exists(info):
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*", info.name)
    module, _, name = info.target.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_importing_the_plugin_imports_nothing_heavy():
    code = (
        "import metabench_speech.plugin as m, sys;"
        "list(m.metabench_task_sources()), list(m.metabench_encoders());"
        "heavy = {'torch', 'numpy', 'transformers', 'torchaudio', 'soundfile', 'scipy'};"
        "print(heavy & set(sys.modules))"
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


@pytest.mark.parametrize("name", SIZES)
def test_splits_are_disjoint_and_of_the_declared_sizes(name):
    split = committed_split(name)
    assert tuple(len(split[s]) for s in ("train", "val", "test")) == SIZES[name]
    everything = [label for labels in split.values() for label in labels]
    assert len(everything) == len(set(everything))


def test_the_shift_is_one_of_language():
    languages = {
        split: {name.split(": ")[0] for name in names}
        for split, names in committed_split("spoken-words-shift").items()
    }
    assert languages["train"] == {"en"}
    assert len(languages["val"]) == 3
    assert len(languages["test"]) == 10
    assert not languages["val"] & languages["test"]
    assert "en" not in languages["val"] | languages["test"]


def test_synthetic_sources_say_so_and_only_they():
    for info in plugin.metabench_task_sources():
        assert info.synthetic == info.name.startswith("spoken-words") == (not info.files)
        assert info.summary.startswith("synthetic") == info.synthetic
