"""Plugins that are installed by writing their metadata and one module into a folder."""

import importlib
import importlib.metadata
import sys
import textwrap
from pathlib import Path

import pytest

PREAMBLE = "from metabench.hookspecs import *\n"


class Site:
    """A folder on ``sys.path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def metadata(self, distribution, version="1.0", *, entry_points="", requires=()):
        """Write a dist-info folder."""
        folder = self.path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")
        (folder / "entry_points.txt").write_text(entry_points)
        return folder

    def install(self, distribution, source, *, name=None, version="1.0", module=None, value=None):
        """Install a plugin distribution with one module."""
        module = module or distribution.replace("-", "_")
        entry = f"[metabench]\n{name or distribution} = {value or module}\n"
        self.metadata(distribution, version, entry_points=entry)
        (self.path / f"{module}.py").write_text(PREAMBLE + textwrap.dedent(source))
        importlib.invalidate_caches()


def algorithm(name, **fields):
    """Return the source of a plugin with one algorithm."""
    extra = "".join(f", {key}={value!r}" for key, value in fields.items())
    return f"""
    @hookimpl
    def metabench_algorithms():
        yield AlgorithmInfo(name={name!r}, summary="a learner", target="nowhere:Nothing"{extra})
    """


@pytest.fixture
def new_site(tmp_path, monkeypatch):
    """Make folders on ``sys.path``, the first first; no other distribution is discovered."""
    sites = []
    everywhere = importlib.metadata.distributions

    def discovered(**_):
        return everywhere(path=[str(site.path) for site in sites])

    monkeypatch.setattr(importlib.metadata, "distributions", discovered)
    for variable in ("METABENCH_DISABLE_PLUGINS", "METABENCH_PLUGINS", "METABENCH_DATA"):
        monkeypatch.delenv(variable, raising=False)
    before = list(sys.path)

    def make(name="site"):
        made = Site(tmp_path / name)
        sites.append(made)
        monkeypatch.setattr(sys, "path", [*(str(site.path) for site in sites), *before])
        return made

    yield make
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and Path(file).is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.fixture
def site(new_site):
    """Make the only folder of plugins."""
    return new_site()
