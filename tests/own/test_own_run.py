"""Own data from the command line: tables, a second run, and what other commands make of them."""

import csv
import os
import shutil
import subprocess
import sys

import pytest
from own_cases import CITIES, photos, sentences, table

SMALL = ("--encoders", "pixels", "--algorithms", "nearest-neighbour,protonet", "--jobs", "1",
         "--episodes", "20", "--budget", "100")  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    photos(folder / "photos", classes=5, each=4)
    (folder / "photos" / CITIES[0] / "broken.png").write_bytes(b"\x89PNG broken")
    return folder


def metabench(home, *arguments, code=0):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("METABENCH")}
    done = subprocess.run(
        [sys.executable, "-m", "metabench", *map(str, arguments)],
        cwd=home, text=True, capture_output=True, check=False,
        env={**environment, "COLUMNS": "100"},
    )  # fmt: skip
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def finished(home):
    return metabench(home, "run", "--data-folder", "photos", *SMALL)


@pytest.mark.slow
def test_a_run_says_what_it_recognised_and_ends_with_a_table(home, finished):
    out, err = finished
    assert "own data photos: 21 image files (.png) of 5 classes\n" in err
    assert "1, 2 shots and 2 queries of a class: most test classes have 4 examples\n" in err
    assert "1 item left out: Amman/broken.png does not decode as an image" in err
    assert "4 cells: 4 ok" in out
    with (home / "results" / "leaderboards" / "vision.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["source"], row["way"], row["status"]) for row in rows} == {("photos", "5", "ok")}


@pytest.mark.slow
def test_the_next_run_finds_every_cell_wherever_the_data_lie(home, finished):
    shutil.copytree(home / "photos", home / "moved" / "photos")
    out, err = metabench(home, "run", "--data-folder", "moved/photos", *SMALL)
    assert "4 cells: 4 ok; 4 found in the store" in out
    assert "broken.png" in err


@pytest.mark.slow
def test_a_plan_without_running(home, finished):
    out, _ = metabench(home, "run", "--data-folder", "photos", *SMALL, "--dry-run")
    assert out.startswith("own data photos: 21 image files")
    assert "4 found in the store, 0 to run" in out


def test_learners_that_need_meta_training_say_so(home):
    out, _ = metabench(
        home, "run", "--data-folder", "photos", "--encoders", "conv4", "--algorithms", "protonet",
        "--shots", "1", "--jobs", "1", "--store", "conv",
    )  # fmt: skip
    assert "1 inapplicable" in out
    assert "photos has no meta-train split to train on" in out


@pytest.mark.slow
def test_what_would_fit_is_named(home):
    table(home / "small.csv", sentences(4, 3))
    out, _ = metabench(
        home, "run", "--data-table", "small.csv", "--text", "text", "--label", "label",
        "--encoders", "hashed-ngrams", "--algorithms", "nearest-neighbour", "--queries", "40",
        "--way", "5", "--jobs", "1", "--store", "small",
    )  # fmt: skip
    assert "; --way 4 --shots 1 --queries 2 would fit" in out


@pytest.mark.slow
def test_other_commands_on_the_store(home, finished):
    out, _ = metabench(home, "why", "photos/pixels/protonet")
    assert out.count(": found") == 2
    out, _ = metabench(home, "leaderboard", "build", "--store", "results", "--out", "tables")
    assert (home / "tables" / "vision.csv").exists()
    out, _ = metabench(home, "leaderboard", "verify", "tables", "--store", "results", "--rerun", 1)
    assert "its data are a user's own and not here" in out
    assert "metabench run --data-folder photos" in out


def test_a_store_whose_data_are_gone(home):
    photos(home / "gone", classes=2)
    metabench(home, "run", "--data-folder", "gone", *SMALL, "--store", "lost")
    shutil.rmtree(home / "gone")
    _, err = metabench(home, "why", "gone/pixels", "--store", "lost", code=2)
    assert "was of own data, which cannot be looked at: " in err
    assert "gone does not exist" in err


def test_errors_are_one_line(home):
    _, err = metabench(home, "run", "--data-folder", "photoz", code=2)
    assert err.startswith("metabench: error: ")
    assert "photoz does not exist; did you mean " in err
    assert err.count("\n") == 1
    _, err = metabench(home, "run", "--data-folder", "photos", "--reader-options", "size", code=2)
    assert "'size' is not NAME=VALUE" in err
    _, err = metabench(home, "run", "--sources", "digits", "--label", "x", code=2)
    assert "--label x is about own data and none are named" in err


def test_in_python(home):
    code = (
        "import metabench\n"
        "table = metabench.run(data_table='t.csv', text='text', label='label', shots=[1],\n"
        "    encoders=['hashed-ngrams'], algorithms=['nearest-neighbour'], episodes=10, jobs=1,\n"
        "    store='python')\n"
        "print(list(table.source), list(table.status))\n"
    )
    table(home / "t.csv", sentences(3))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=home, text=True, capture_output=True, check=True
    )
    assert done.stdout == "['t'] ['ok']\n"
