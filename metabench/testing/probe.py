"""Importing a plugin's entry point in a process of its own, to see what that costs and prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from metabench.registry.candidates import Candidate
from metabench.registry.catalogue import one_line

TIMEOUT = 60.0
SLOW = 0.5
"""Seconds that importing an entry point may take."""
HEAVY = frozenset(
    {
        "cv2", "datasets", "jax", "librosa", "lightgbm", "matplotlib", "numba", "numpy", "pandas",
        "polars", "pydantic", "rdkit", "requests", "scipy", "sklearn", "spacy", "tensorflow",
        "timm", "tokenizers", "torch", "torchaudio", "torchvision", "transformers", "xgboost",
    }
)  # fmt: skip
"""Packages that `metabench list` does without."""

_CODE = """
import importlib.metadata, json, sys, time
name, value, out = sys.argv[1:]
import metabench.registry.discovery
before = set(sys.modules)
started = time.perf_counter()
try:
    importlib.metadata.EntryPoint(name, value, "metabench").load()
    error = ""
except BaseException as caught:
    error = f"{type(caught).__name__}: {caught}"
seconds = time.perf_counter() - started
loaded = sorted({module.partition(".")[0] for module in set(sys.modules) - before})
with open(out, "w", encoding="utf-8") as file:
    json.dump({"error": error, "seconds": seconds, "loaded": loaded}, file)
"""


@dataclass(frozen=True)
class Imported:
    """What importing an entry point did.

    Attributes:
        error: Why it failed, on one line; empty if it did not.
        seconds: How long it took.
        loaded: The top-level modules that it brought in.
        printed: What it printed to stdout.
    """

    error: str
    seconds: float
    loaded: tuple[str, ...]
    printed: str

    @property
    def heavy(self) -> tuple[str, ...]:
        """The packages of ``HEAVY`` that it brought in."""
        return tuple(name for name in self.loaded if name in HEAVY)


def import_elsewhere(candidate: Candidate) -> Imported:
    """Import an entry point in a new process; if that is slow, once more, when its files are warm.

    Args:
        candidate: The plugin.
    """
    first = _import(candidate)
    if first.error or first.seconds <= SLOW or first.seconds > TIMEOUT / 4:
        return first
    return min(first, _import(candidate), key=lambda imported: imported.seconds)


def _import(candidate: Candidate) -> Imported:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "imported.json"
        command = [sys.executable, "-c", _CODE, candidate.name, candidate.value, str(out)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and code
                command, env=environment, capture_output=True, stdin=subprocess.DEVNULL,
                check=False, timeout=TIMEOUT,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Imported(f"it takes more than {TIMEOUT:.0f} seconds", TIMEOUT, (), "")
        printed = done.stdout.decode("utf-8", "replace")
        if not out.exists():
            last = one_line((done.stderr.decode("utf-8", "replace").splitlines() or [""])[-1])
            code = f"it ended the process with exit code {done.returncode}"
            return Imported(f"{code}: {last}" if last else code, 0.0, (), printed)
        found = json.loads(out.read_text("utf-8"))
        return Imported(one_line(found["error"]), found["seconds"], tuple(found["loaded"]), printed)
