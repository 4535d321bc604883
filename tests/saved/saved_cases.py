"""Small learners of the toy plugin, trained once and saved in a process of their own."""

import json
import subprocess
import sys

import pytest
from run_cases import TOY, Shell

LEARNERS = {
    "protonet": ("blobs", "toy-linear", "protonet"),
    "maml": ("blobs", "toy-linear", "maml"),
    "simpleshot": ("blobs", "toy-linear", "simpleshot"),
    "frozen": ("blobs", "toy-plain", "simpleshot"),
    "bytes": ("blobs", "toy-bytes", "simpleshot"),
    "logistic": ("blobs", "toy-plain", "logistic-probe"),
    "fitted": ("blobs", "toy-prepared", "protonet"),
    "maps": ("blobs", "toy-map", "map-mean"),
    "seeing": ("blobs", "toy-plain", "bd-cspn"),
    "chance": ("blobs", "none", "chance"),
    "binary": ("sides", "toy-plain", "gp"),
    "values": ("walks", "toy-plain", "gp"),
    "maml-values": ("walks", "toy-linear", "maml"),
}
REQUEST = ("--shots", "2", "--episodes", "12", "--budget", "500", "--jobs", "1")
EXPORT = """
import json, sys, metabench
for name, (source, encoder, algorithm) in json.loads(sys.argv[1]).items():
    saved = metabench.export(f"saved/{name}", source=source, encoder=encoder, algorithm=algorithm)
    print(json.dumps([name, saved.shared, saved.agreement.same, saved.agreement.queries]))
"""


class Process(Shell):
    """Also runs Python as a user would."""

    def python(self, code, *arguments):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def trained(tmp_path_factory, toy_site):
    """A folder with a store of small learners."""
    shell = Process(tmp_path_factory.mktemp("trained"), toy_site)
    for encoders in ("toy-linear,toy-plain", "toy-bytes,toy-prepared,toy-map"):
        few = encoders.startswith("toy-bytes")
        names = "simpleshot,protonet,map-mean" if few else (
            "chance,protonet,maml,simpleshot,logistic-probe,bd-cspn,gp"
        )  # fmt: skip
        sources = "blobs" if few else "blobs,sides,walks"
        shell("run", "--sources", sources, "--encoders", encoders, "--algorithms", names, *REQUEST)
    return shell


@pytest.fixture(scope="session")
def saved(trained):
    """What exporting each learner told: name, whether its weights were found, and agreement."""
    lines = trained.python(EXPORT, json.dumps(LEARNERS)).splitlines()
    return {name: rest for name, *rest in map(json.loads, lines)}


@pytest.fixture
def _toy_here(toy_site, monkeypatch):
    """The toy plugin is installed in this process too, and gone when the test ends."""
    monkeypatch.syspath_prepend(TOY)
    monkeypatch.syspath_prepend(toy_site)


@pytest.fixture
def learner(trained, saved, _toy_here):
    """Load a saved learner by its name above."""
    from metabench.saved.load import load

    return lambda name: load(trained.folder / "saved" / name)
