"""What ``metabench doctor`` finds out; heavy packages are imported in processes of their own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import metabench
from metabench.registry.catalogue import Catalogue, one_line
from metabench.registry.targets import missing_modules

Status = Literal["ok", "warn", "fail"]

TOPICS = ("versions", "hardware", "plugins", "data", "store")
PROBE_TIMEOUT = 120.0
LISTED = (
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "pydantic",
    "safetensors",
    "datasets",
    "tokenizers",
)
PROBED = ("torch", "torchaudio", "transformers")
NEEDED = frozenset({"torch", "numpy"})

_PROBE = """
import json, sys
try:
    from metabench.torchaudio_compat import status
    audio = status() if sys.argv[1] in {"torchaudio", "transformers"} else None
    if audio is not None and audio.state == "broken" and sys.argv[1] == "torchaudio":
        raise ImportError(audio.reason)
    module = __import__(sys.argv[1])
    found = {"version": str(getattr(module, "__version__", "unknown"))}
    if audio is not None and audio.state == "mended" and sys.argv[1] == "torchaudio":
        found["note"] = audio.text
    if sys.argv[1] == "torch":
        cuda = module.cuda.is_available()
        mps = getattr(module.backends, "mps", None)
        found["devices"] = (
            [f"cuda:{i} " + module.cuda.get_device_name(i)
             for i in range(module.cuda.device_count())]
            if cuda else []
        ) + (["mps"] if mps is not None and mps.is_available() else []) + ["cpu"]
        found["threads"] = module.get_num_threads()
        try:
            found["cpu_bf16"] = bool(module.ops.mkldnn._is_mkldnn_bf16_supported())
        except Exception:
            found["cpu_bf16"] = None
except BaseException as error:
    found = {"error": f"{type(error).__name__}: {error}"}
print("\\n" + json.dumps(found))
"""


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Attributes:
        topic: What it belongs to, one of `TOPICS`.
        name: What was checked.
        status: Whether it is as it should be; ``fail`` keeps `metabench run` from working.
        text: What was found, on one line.
        value: The same for scripts.
    """

    topic: str
    name: str
    status: Status
    text: str
    value: Any = None


def examine(catalogue: Catalogue, data_dir: Path | None, store: Path) -> list[Finding]:
    """Check the installation.

    Args:
        catalogue: What the plugins provide.
        data_dir: The data directory, if one is set.
        store: The folder that a run would write to.

    Returns:
        The findings, by topic.
    """
    findings = _examine(catalogue, data_dir, store)
    return sorted(findings, key=lambda finding: TOPICS.index(finding.topic))


def _examine(catalogue: Catalogue, data_dir: Path | None, store: Path) -> Iterator[Finding]:
    probes = {name: _start_probe(name) for name in PROBED if _is_installed(name)}
    version = platform.python_version()
    yield Finding("versions", "python", "ok", f"{version} ({sys.executable})", version)
    yield Finding("versions", "metabench", "ok", metabench.__version__, metabench.__version__)
    for name in LISTED:
        yield _listed(name)
    yield from _plugins(catalogue)
    yield from _data(catalogue, data_dir)
    yield _store(store)
    for name in PROBED:
        yield from _probed(name, _result(probes[name]) if name in probes else None)


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # already imported, and without a spec
        return True


def _listed(name: str) -> Finding:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        status: Status = "fail" if name in NEEDED else "ok"
        return Finding("versions", name, status, "not installed")
    return Finding("versions", name, "ok", version, version)


def _start_probe(name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", _PROBE, name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _result(process: subprocess.Popen[str]) -> dict[str, Any]:
    try:
        output, _ = process.communicate(timeout=PROBE_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {"error": f"importing it takes more than {PROBE_TIMEOUT:.0f} seconds"}
    try:
        found = json.loads(output.strip().rpartition("\n")[2])
    except ValueError:
        return {"error": f"importing it ended the process with exit code {process.returncode}"}
    return found if isinstance(found, dict) else {"error": "importing it printed nonsense"}


def _probed(name: str, found: Mapping[str, Any] | None) -> Iterator[Finding]:
    broken: Status = "fail" if name in NEEDED else "warn"
    if found is None:
        absent: Status = "fail" if name in NEEDED else "ok"
        yield Finding("versions", name, absent, "not installed", {"installed": False})
        return
    if "error" in found:
        error = one_line(found["error"])
        text = f"installed, but it cannot be imported ({error})"
        value = {"installed": True, "importable": False, "error": error}
        yield Finding("versions", name, broken, text, value)
        return
    value = {"installed": True, "importable": True, **found}
    yield Finding("versions", name, "ok", str(found.get("note", found["version"])), value)
    if name == "torch":
        devices = found["devices"]
        yield Finding("hardware", "devices", "ok", ", ".join(devices), devices)
        yield Finding("hardware", "threads", "ok", f"{found['threads']} of {os.cpu_count()} CPUs")
        bf16 = {True: "supported", False: "not supported", None: "unknown"}[found["cpu_bf16"]]
        yield Finding("hardware", "bf16 on the CPU", "ok", bf16, found["cpu_bf16"])


def _plugins(catalogue: Catalogue) -> Iterator[Finding]:
    for plugin in catalogue.plugins:
        text = f"{plugin.distribution} {plugin.version}"
        yield Finding("plugins", plugin.name, "ok", text, plugin)
    for problem in catalogue.problems:
        yield Finding("plugins", problem.plugin, "warn", str(problem), problem)
    wanted: dict[str, list[str]] = {}
    for entries in (catalogue.sources, catalogue.encoders, catalogue.algorithms, catalogue.metrics):
        for name, entry in entries.items():
            for module in missing_modules(entry.info.requires):
                wanted.setdefault(module, []).append(name)
    for module, names in sorted(wanted.items()):
        text = f"not installed; needed by {', '.join(names)}"
        yield Finding("plugins", module, "warn", text, {"installed": False, "needed_by": names})


def _data(catalogue: Catalogue, data_dir: Path | None) -> Iterator[Finding]:
    from metabench.tasks.upstream import source_files

    if data_dir is None:
        text = "none; set --data or METABENCH_DATA for sources that read files"
        yield Finding("data", "directory", "ok", text)
    elif not data_dir.is_dir():
        yield Finding("data", "directory", "warn", f"{data_dir} is not a folder", str(data_dir))
    else:
        yield Finding("data", "directory", "ok", str(data_dir), str(data_dir))
    for name, entry in catalogue.sources.items():
        files = source_files([entry], data_dir)
        if not files:
            continue
        missing = [file.file.path for file in files if file.presence == "missing"]
        there = len(files) - len(missing)
        text = f"{there} of {len(files)} files"
        if missing:
            text += f"; `metabench data fetch {name}` gets or names the others"
        yield Finding("data", name, "ok", text, {"files": len(files), "missing": missing})


def _store(store: Path) -> Finding:
    place = store.absolute()
    while not place.exists():
        place = place.parent
    try:
        if not place.is_dir():
            raise NotADirectoryError(f"{place} is not a folder")
        with tempfile.TemporaryFile(dir=place) as stream:
            stream.write(b"metabench")
            stream.flush()
        free = shutil.disk_usage(place).free
    except OSError as error:
        text = f"{store.absolute()} cannot be written ({one_line(error)})"
        return Finding("store", "writable", "fail", text, {"writable": False})
    text = f"{store.absolute()} ({free / 1e9:.1f} GB free)"
    return Finding("store", "writable", "ok", text, {"writable": True, "free_bytes": free})
