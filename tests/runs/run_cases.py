import os
import subprocess
import sys
from pathlib import Path

import pytest

TOY = Path(__file__).parents[1] / "samples" / "toy"
LEARNERS = "chance,nearest-mean,nearest-neighbour,protonet,simpleshot"
SMALL = ("--domains", "toy", "--shots", "1", "--episodes", "40", "--budget", "800")


class Shell:
    """Runs ``metabench`` as a user would, with the toy plugin in sight."""

    def __init__(self, folder, site):
        self.folder = folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("METABENCH")},
            "PYTHONPATH": os.pathsep.join([str(site), str(TOY)]),
            "COLUMNS": "100",
        }

    def start(self, *arguments, **options):
        return subprocess.Popen(
            [sys.executable, "-m", "metabench", *map(str, arguments)],
            cwd=self.folder, env=self.environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
        )  # fmt: skip

    def __call__(self, *arguments, code=0):
        process = self.start(*arguments)
        out, err = process.communicate(timeout=240)
        assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{err}"
        return out, err

    def records(self, store="results"):
        return sorted((self.folder / store / "records").rglob("*.json"))


@pytest.fixture(scope="session")
def toy_site(tmp_path_factory):
    """Metadata as an installation of the toy plugin would have left it."""
    site = tmp_path_factory.mktemp("site")
    folder = site / "metabench_toy-0.3.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: metabench-toy\nVersion: 0.3.0\n")
    (folder / "entry_points.txt").write_text("[metabench]\ntoy = metabench_toy\n")
    return site


@pytest.fixture
def shell(tmp_path, toy_site):
    return Shell(tmp_path, toy_site)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, toy_site):
    """A shell in whose folder a small run has been carried out by two workers."""
    shell = Shell(tmp_path_factory.mktemp("finished"), toy_site)
    shell.out, shell.err = shell("run", *SMALL, "--algorithms", LEARNERS, "--jobs", "2")
    return shell
