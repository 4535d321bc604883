"""A new environment into which everything is installed from wheels."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIRST_PARTY = ("algorithms", "control", "molecules", "nlp", "speech", "trackers", "vision")
DOWNSTREAM = ("kernel-ridge", "series", "wavelets")
DISTRIBUTIONS = (
    ROOT,
    *(ROOT / "plugins" / name for name in FIRST_PARTY),
    *(ROOT / "downstream" / name for name in DOWNSTREAM),
    ROOT / "tests/samples/toy",
)


def call(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_in(environment, *arguments, cwd, **variables):
    """Run ``metabench`` as someone does who has it installed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("METABENCH", "PYTHON"))}
    command = environment / "bin" / "metabench"
    return call(command, *arguments, cwd=cwd, env={**kept, **variables})


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A new environment with every wheel; third-party dependencies are borrowed from this one."""
    folder = tmp_path_factory.mktemp("wheels")
    for project in DISTRIBUTIONS:
        build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder)
        call(*build, project)
    environment = folder / "venv"
    call(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    site = next(environment.glob("lib/python*/site-packages"))
    # A path in a .pth file lends modules, not the editable installs of the checkout.
    lent = [path for path in sys.path if Path(path).name == "site-packages"]
    (site / "borrowed.pth").write_text("\n".join(lent) + "\n")
    wheels = sorted(folder.glob("*.whl"))
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps")
    call(*pip, "--ignore-installed", *wheels)
    return environment
