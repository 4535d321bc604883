"""Wheels work without the checkout, and a stranger's plugin is as good as ours."""

import csv
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = (
    ROOT,
    ROOT / "plugins/algorithms",
    ROOT / "plugins/control",
    ROOT / "plugins/molecules",
    ROOT / "plugins/nlp",
    ROOT / "plugins/speech",
    ROOT / "plugins/trackers",
    ROOT / "plugins/vision",
    ROOT / "tests/samples/toy",
)


def call(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
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
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    wheels = sorted(folder.glob("*.whl"))
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps")
    call(*pip, "--ignore-installed", *wheels)
    return environment


def run_in(environment, *arguments, cwd):
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("METABENCH", "PYTHON"))}
    return call(environment / "bin" / "metabench", *arguments, cwd=cwd, env=variables)


@pytest.mark.slow
def test_wheels_run_a_cell_of_every_plugin_without_the_checkout(installed, tmp_path):
    where = call(
        installed / "bin" / "python", "-c", "import metabench; print(metabench.__file__)",
        cwd=tmp_path, env={},
    )  # fmt: skip
    assert str(installed) in where
    run_in(
        installed, "run", "--sources", "blobs,digits,intents", "--shots", "1", "--way", "3",
        "--algorithms", "chance,protonet,nearest-mean", "--episodes", "20", "--budget", "600",
        "--encoders", "toy-linear,toy-plain,conv4,hashed-ngrams", cwd=tmp_path,
    )  # fmt: skip
    rows = {}
    for domain in ("toy", "vision", "nlp"):
        path = tmp_path / "results" / "leaderboards" / f"{domain}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                rows[row["source"], row["encoder"], row["algorithm"]] = row
    for cell in (
        ("blobs", "toy-linear", "nearest-mean"),
        ("blobs", "toy-plain", "protonet"),
        ("digits", "conv4", "nearest-mean"),
        ("intents", "hashed-ngrams", "protonet"),
    ):
        assert rows[cell]["status"] == "ok", cell
    assert rows["blobs", "toy-linear", "nearest-mean"]["plugin"] == "metabench-toy"
    assert rows["blobs", "conv4", "protonet"]["status"] == "inapplicable"


@pytest.mark.slow
def test_wheels_hold_no_tests_and_no_data_sets(installed):
    site = next(installed.glob("lib/python*/site-packages"))
    assert not list(site.glob("tests"))
    large = [p for p in site.glob("metabench*/**/*") if p.is_file() and p.stat().st_size > 10**6]
    assert large == []
