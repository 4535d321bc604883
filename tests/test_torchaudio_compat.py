"""torchaudio as installed, healthy and absent; each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEALTHY = {
    "torchaudio/__init__.py": "from . import _extension\n__version__ = '9.9'\n",
    "torchaudio/_extension.py": "_IS_TORCHAUDIO_EXT_AVAILABLE = True\n",
}
MISMATCHED = {
    "torchaudio/__init__.py": (
        "from . import early, _extension\nfrom .late import available\n__version__ = '9.8'\n"
    ),
    "torchaudio/early.py": "count = 1\n",
    "torchaudio/late.py": (
        "from torchaudio._extension import (\n"
        "    _IS_TORCHAUDIO_EXT_AVAILABLE as available, fail_if_no_align)\n"
        "@fail_if_no_align\ndef forced_align():\n    return 1\n"
    ),
    "torchaudio/_extension.py": "raise OSError('libc10_cuda.so: no such file\\nmore')\n",
}
BROKEN = {"torchaudio/__init__.py": "raise RuntimeError('beyond help\\nmore')\n"}
PREFACE = """
import json, sys
import metabench.torchaudio_compat as compat
from metabench.errors import UnavailableError
assert not {'torch', 'torchaudio'} & set(sys.modules)
"""


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def run(code, folder=None):
    """Run code in a fresh process, with a folder before all others, and read its last line."""
    paths = [str(folder)] if folder else []
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", PREFACE + code], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_the_installed_one_computes_features():
    pytest.importorskip("torch")
    found = run(
        """
compat.prepare_torchaudio()
module = compat.import_torchaudio()
import torch, torchaudio
assert module is torchaudio is compat.import_torchaudio()
wave = torch.sin(torch.arange(16000) / 16000 * 6.2831853 * 1000)
mel = torchaudio.transforms.MelSpectrogram(16000, n_fft=512, n_mels=40)(wave)
filtered = torchaudio.functional.lfilter(
    torch.tensor([[1.0, 0, 0]]), torch.tensor([1.0, -0.5]), torch.tensor([1.0, 0.0]))
print(json.dumps([compat.status().state, list(mel.shape), int(mel.mean(1).argmax()),
                  filtered.tolist()]))
"""
    )
    assert found[0] in {"works", "mended"}
    assert found[1] == [40, 63]
    assert 10 <= found[2] <= 16  # 1 kHz is mel 1000 of 2840, the 14th of 40 bands
    assert found[3] == [[1.0, 0.5, 0.25]]


def test_a_healthy_one_is_left_alone(tmp_path):
    found = run(
        """
before = set(sys.modules)
compat.prepare_torchaudio()
module = compat.import_torchaudio()
status = compat.status()
print(json.dumps([module._extension._IS_TORCHAUDIO_EXT_AVAILABLE, status.state, status.text,
                  sys.modules['torchaudio._extension'].__file__]))
""",
        write(tmp_path, HEALTHY),
    )
    assert found == [True, "works", "9.9", str(tmp_path / "torchaudio" / "_extension.py")]


def test_one_that_is_imported_already_is_left_alone(tmp_path):
    found = run(
        """
import torchaudio
torchaudio.mark = 7
print(json.dumps([compat.import_torchaudio().mark, compat.status().state]))
""",
        write(tmp_path, HEALTHY),
    )
    assert found == [7, "works"]


def test_a_mismatched_extension_is_replaced(tmp_path):
    found = run(
        """
module = compat.import_torchaudio()
try:
    module.late.forced_align()
except RuntimeError as error:
    said = str(error)
status = compat.status()
import torchaudio.early
print(json.dumps([module.available, said, status.state, status.text,
                  compat.import_torchaudio() is module]))
""",
        write(tmp_path, MISMATCHED),
    )
    assert found[0] is False
    assert "forced_align" in found[1]
    assert found[2] == "mended"
    assert found[3].startswith("9.8, without its compiled extension")
    assert found[4] is True


ABSENT = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == 'torchaudio' else find(name, *rest)
"""


def test_an_absent_one_is_unavailable_with_the_command():
    found = run(
        ABSENT
        + """
compat.prepare_torchaudio()
try:
    compat.import_torchaudio()
except UnavailableError as error:
    print(json.dumps([str(error), compat.status().state, compat.status().text]))
"""
    )
    assert found == [
        "torchaudio is not installed; `pip install torchaudio`",
        "absent",
        "not installed",
    ]


def test_one_beyond_help_is_unavailable_and_leaves_nothing_behind(tmp_path):
    found = run(
        """
compat.prepare_torchaudio()
try:
    compat.import_torchaudio()
except UnavailableError as error:
    left = [name for name in sys.modules if name.startswith('torchaudio')]
    status = compat.status()
    print(json.dumps([str(error), left, status.state, status.reason]))
""",
        write(tmp_path, BROKEN),
    )
    assert "cannot be imported (beyond help)" in found[0]
    assert found[1:] == [[], "broken", "beyond help"]
