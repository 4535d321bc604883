"""More of what a user meets: odd plugins, full disks, variants, uneven episodes, explanations."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_cases import SMALL, TOY, Shell
from test_runs_end_to_end import table, without_timings

ODD = TOY.parent / "odd"


@pytest.fixture
def odd(tmp_path, toy_site):
    """A shell that finds the plugin with bad manners beside the toy one."""
    site = tmp_path / "site"
    folder = site / "metabench_odd-0.1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: metabench-odd\nVersion: 0.1\n")
    (folder / "entry_points.txt").write_text("[metabench]\nodd = metabench_odd\n")
    work = tmp_path / "work"
    work.mkdir()
    shell = Shell(work, toy_site)
    shell.environment["PYTHONPATH"] += os.pathsep + os.pathsep.join([str(site), str(ODD)])
    shell.environment["ODD_DIARY"] = str(tmp_path / "diary")
    shell.diary = tmp_path / "diary"
    return shell


def test_json_stays_json_and_observers_are_called_though_a_plugin_prints(odd):
    out, err = odd("run", *SMALL, "--encoders", "toy-plain", "--algorithms", "chatty,raiser",
                   "--json", code=1)  # fmt: skip
    content = json.loads(out)
    assert content["exit_code"] == 1
    assert {r["cell"]["algorithm"]: r["status"] for r in content["records"]} == {
        "chatty": "ok", "raiser": "failed",
    }  # fmt: skip
    assert "a child speaks" in err
    diary = odd.diary.read_text().splitlines()
    assert diary[0] == "started 2"
    assert sorted(diary[1:3]) == ["finished chatty ok", "finished raiser failed"]
    assert diary[3] == "ended ['toy.csv', 'overall.csv']"
    assert "RuntimeError: the diary is full" in err
    plan, _ = odd("run", *SMALL, "--algorithms", "chance", "--dry-run", "--json")
    assert [cell["state"] for cell in json.loads(plan)["cells"]] == ["to run"]


def test_what_is_missing_is_unavailable_with_the_remedy_and_exit_code_0(odd):
    request = ("run", *SMALL, "--encoders", "toy-plain")
    odd(*request, "--sources", "needs-file,blobs", "--algorithms", "needs-module,chance")
    rows = {(row["source"], row["algorithm"]): row for row in table(odd)}
    states = {name: row["status"] for name, row in rows.items()}
    assert states == {
        ("blobs", "chance"): "ok",
        ("blobs", "needs-module"): "unavailable",
        ("needs-file", "chance"): "unavailable",
        ("needs-file", "needs-module"): "unavailable",
    }
    assert "pip install no_such_module" in rows["blobs", "needs-module"]["reason"]
    assert "odd/points.bin" in rows["needs-file", "chance"]["reason"]
    assert "METABENCH_DATA" in rows["needs-file", "chance"]["reason"]
    before = {path: path.stat().st_mtime_ns for path in odd.records()}
    odd(*request, "--sources", "needs-file,blobs", "--algorithms", "needs-module,chance")
    assert {path: path.stat().st_mtime_ns for path in odd.records()} == before


def test_a_source_that_breaks_costs_its_own_cells(odd):
    odd("run", *SMALL, "--sources", "odd-error,blobs", "--algorithms", "chance", code=1)
    rows = {row["source"]: row for row in table(odd)}
    assert rows["blobs"]["status"] == "ok"
    assert rows["odd-error"]["status"] == "failed"
    assert "load odd-error: OddError: this and that" in rows["odd-error"]["reason"]
    (path,) = (odd.folder / "results" / "records" / "odd-error").rglob("*.json")
    failure = json.loads(path.read_text())["failure"]
    assert failure["exception"] == "OddError"
    assert "in odd_error" in (odd.folder / "results" / failure["traceback"]).read_text()


SUITE = """
name = "mine"
shots = [1]
[protocol]
episodes = 20
budget = 2000
[[entries]]
sources = ["blobs"]
encoders = ["toy-linear"]
algorithms = ["protonet", "slow", "wrong"]
[variants.slow]
algorithm = "protonet"
learning_rate = 1.0
[variants.wrong]
algorithm = "protonet"
learning_rat = 1.0
"""


def test_a_variant_runs_beside_its_algorithm(shell):
    (shell.folder / "mine.toml").write_text(SUITE)
    shell("run", "--suite", "mine.toml", code=1)
    rows = {row["algorithm"]: row for row in table(shell)}
    assert {name: row["status"] for name, row in rows.items()} == {
        "protonet": "ok", "slow": "ok", "wrong": "failed",
    }  # fmt: skip
    assert "learning_rat" in rows["wrong"]["reason"]
    assert "learning_rate" in rows["wrong"]["reason"]
    assert rows["slow"]["mean"] != rows["protonet"]["mean"]
    records = {}
    for path in shell.records():
        values = json.loads(path.read_text())
        records[values["cell"]["algorithm"]] = values
    assert records["slow"]["training"]["hyperparameters"]["learning_rate"] == 1.0
    assert records["protonet"]["training"]["hyperparameters"]["learning_rate"] != 1.0
    assert records["slow"]["key_parts"]["algorithm"]["options"] == {"learning_rate": 1.0}


def test_chance_of_uneven_episodes_is_that_of_their_ways(shell):
    shell("run", *SMALL, "--shots", "uneven", "--way", "3-10", "--algorithms", "chance,protonet",
          "--encoders", "toy-plain")  # fmt: skip
    rows = {row["algorithm"]: row for row in table(shell)}
    chance = float(rows["chance"]["chance"])
    assert 0.1 < chance < 0.33
    assert float(rows["chance"]["mean"]) == pytest.approx(chance)
    assert float(rows["chance"]["normalized"]) == pytest.approx(0, abs=1e-9)
    assert rows["protonet"]["chance"] == rows["chance"]["chance"]
    assert rows["protonet"]["way"] == "3-10"
    assert rows["protonet"]["rank_low"] == "1"


@pytest.mark.slow
def test_who_trains_a_shared_checkpoint_makes_no_difference(shell):
    request = ("run", *SMALL, "--encoders", "toy-linear", "--algorithms")
    names = ("nearest-neighbour", "simpleshot", "baseline")
    for store, order in (("a", names), ("b", names[::-1])):
        for name in order:
            shell(*request, name, "--store", store)
        out, _ = shell(*request, ",".join(names), "--store", store)
        assert "3 found in the store" in out
    assert without_timings(table(shell, store="a")) == without_timings(table(shell, store="b"))


def test_shards_leave_whole_tables(shell):
    request = ("run", *SMALL, "--algorithms", "chance,protonet")
    shell(*request, "--shard", "1/2")
    first = table(shell)
    shell(*request, "--shard", "2/2")
    assert len(first) < len(table(shell)) == 3


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_nothing_is_half_written(shell, small_disk):
    store = small_disk / "results"
    _, err = shell("run", *SMALL, "--algorithms", "chance", "--store", store)
    assert "error" not in err
    (small_disk / "ballast").write_bytes(b"x" * 200_000)
    free = shutil.disk_usage(small_disk).free
    (small_disk / "more").write_bytes(b"x" * max(0, free - 4096))
    _, err = shell("run", *SMALL, "--algorithms", "chance,protonet", "--store", store, code=1)
    assert "the disk is full" in err
    assert "Traceback" not in err
    assert not [path for path in store.rglob(".*") if path.is_file()]
    (small_disk / "ballast").unlink()
    (small_disk / "more").unlink()
    shell("run", *SMALL, "--algorithms", "chance", "--store", store)
    assert not (store / "quarantine").exists()


def test_a_read_only_store_is_one_line(shell, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    _, err = shell("run", *SMALL, "--algorithms", "chance", "--store", small_disk / "s", code=1)
    assert "the file system is read-only" in err
    assert len(err.strip().splitlines()) == 1


@pytest.fixture(scope="module")
def explained(tmp_path_factory, toy_site):
    """A store with one cell of each kind, and a copy of the plugin that can be changed."""
    folder = tmp_path_factory.mktemp("explained")
    toy = shutil.copytree(TOY, folder / "toy", ignore=shutil.ignore_patterns("__pycache__"))
    work = folder / "work"
    work.mkdir()
    shell = Shell(work, toy_site)
    shell.environment["PYTHONPATH"] = os.pathsep.join([str(toy_site), str(toy)])
    shell.toy = Path(toy)
    shell("run", *SMALL, "--encoders", "toy-plain", "--algorithms",
          "protonet,nearest-mean,raiser,maml,chance", code=1)  # fmt: skip
    for path in work.rglob("chance--*"):
        path.unlink()
    return shell


@pytest.mark.parametrize(
    ("name", "verdict", "reason"),
    [
        ("blobs/toy-plain/protonet", "found", "has this key and is intact"),
        ("blobs/toy-plain/raiser", "to be tried again", "ended as failed: ZeroDivisionError"),
        ("blobs/toy-plain/maml", "not run", "inapplicable: maml adapts the encoder's weights"),
        ("blobs/none/chance", "missing", "no record has this name"),
    ],
)
def test_why(explained, name, verdict, reason):
    out, _ = explained("why", name)
    first, second = out.strip().splitlines()
    assert first.startswith(f"{name}/quick-5w1s-custom/seed0: {verdict} (key ")
    assert reason in second
    key = first.split("(key ")[1].rstrip(")")
    (found,) = json.loads(explained("why", key, "--json")[0])
    assert found["verdict"] == verdict
    assert found["key"].startswith(key)


def test_why_of_many_and_of_none(explained):
    out, _ = explained("why", "blobs/toy-plain", "--json")
    assert len(json.loads(out)) == 4
    _, err = explained("why", "protonett", code=2)
    assert "near: " in err
    assert "/protonet/" in err
    _, err = explained("why", "raiser", code=2)
    assert "near: blobs/toy-plain/raiser/" in err
    _, err = explained("why", "blobs", "--store", "nowhere", code=2)
    assert "holds no run" in err


def test_why_names_what_changed(explained):
    parts = explained.toy / "metabench_toy" / "parts.py"
    text = parts.read_text()
    try:
        parts.write_text(text + "\n\nMORE = 1\n")
        out, _ = explained("why", "blobs/toy-plain/nearest-mean")
    finally:
        parts.write_text(text)
    assert ": stale (key " in out
    assert "algorithm.code changed: " in out
    assert "source.digest may have changed" in out
    assert "protocol" not in out.split("\n", 1)[1]
    out, _ = explained("why", "blobs/toy-plain/nearest-mean")
    assert ": found" in out


SCRIPT = """
import multiprocessing, threading, time
import metabench

found = []
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
child.start()

def work():
    found.append(metabench.run(domains=["toy"], algorithms=["chance"], shots=[1], episodes=20))

thread = threading.Thread(target=work)
thread.start()
thread.join()
assert child.is_alive()
child.kill()
print(list(found[0].columns) == list(metabench.leaderboard.row.COLUMNS), found[0]["mean"].tolist())
"""


def test_from_a_thread_of_a_script_that_has_children(shell):
    (shell.folder / "script.py").write_text(SCRIPT)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=shell.folder, env=shell.environment,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True [0.2")
    assert time.monotonic() - started < 60


def test_the_words_of_a_run(shell):
    out, err = shell("run", *SMALL, "--encoders", "toy-plain", "--algorithms", "chance,maml")
    lines = err.splitlines()
    assert "2 cells: 0 found in the store, 1 to run, 1 cannot be run, about 1 s of work" in lines
    assert "[1/1] blobs/none/chance/quick-5w1s-custom/seed0  accuracy 0.2000" in lines
    assert "2 cells: 1 inapplicable, 1 ok; 0 found in the store" in out
    out, err = shell("run", *SMALL, "--encoders", "toy-plain", "--algorithms", "chance,maml")
    assert "2 cells: 1 found in the store, 0 to run, 1 cannot be run" in err.splitlines()
    out, _ = shell("run", *SMALL, "--algorithms", "chance", "--jobs", "1", "--dry-run")
    assert "1 cell: 1 found in the store, 0 to run, 0 cannot be run" in out
    shutil.rmtree(shell.folder / "results" / "cache")  # as in a clone of published records
    out, err = shell("run", *SMALL, "--algorithms", "chance", "--jobs", "1", "--dry-run")
    assert "the store has records of blobs" in err
    assert "1 cell: 0 found in the store, 1 to run" in out
