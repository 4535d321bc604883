"""Runs in a process of their own, as a user starts them."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from run_cases import LEARNERS, SMALL

TIMINGS = {"train_seconds", "adapt_ms_per_task", "peak_memory_mb"}


def table(shell, name="toy", store="results"):
    path = shell.folder / store / "leaderboards" / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def without_timings(rows):
    return [{k: v for k, v in row.items() if k not in TIMINGS} for row in rows]


def test_a_run_ends_with_a_table_and_the_paths(finished):
    rows = {(row["encoder"], row["algorithm"]): row for row in table(finished)}
    assert len(rows) == 9
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert float(rows["none", "chance"]["mean"]) == pytest.approx(0.2)
    assert float(rows["toy-plain", "protonet"]["mean"]) > 0.8
    assert len({row["episodes_digest"] for row in rows.values()}) == 1
    assert "blobs" in finished.out
    assert "results/leaderboards/toy.csv" in finished.out


def test_the_same_again_finds_every_cell_and_starts_no_worker(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.records()}
    out, err = finished("run", *SMALL, "--algorithms", LEARNERS)
    assert "9 found in the store" in out
    assert "0 to run" in err
    assert {path: path.stat().st_mtime_ns for path in finished.records()} == before


def test_one_worker_and_two_write_the_same_table(finished):
    finished("run", *SMALL, "--algorithms", LEARNERS, "--jobs", "1", "--store", "single")
    assert without_timings(table(finished)) == without_timings(table(finished, store="single"))
    overall = table(finished, "overall")
    assert overall == table(finished, "overall", "single")


def test_shards_together_are_the_whole(finished):
    for part in ("1/2", "2/2"):
        finished("run", *SMALL, "--algorithms", LEARNERS, "--store", "shards", "--shard", part)
    out, _ = finished("run", *SMALL, "--algorithms", LEARNERS, "--store", "shards")
    assert "9 found in the store" in out


def test_one_more_seed_reuses_the_cells_of_the_others(finished):
    out, _ = finished("run", *SMALL, "--algorithms", "chance,protonet", "--seeds", "0,1")
    assert "3 found in the store" in out
    row = next(row for row in table(finished) if row["algorithm"] == "protonet")
    assert row["seeds"] == "2"
    assert row["ci_over"] == "seeds,episodes"


def test_json_on_stdout_is_nothing_but_json(finished):
    out, _ = finished("run", *SMALL, "--algorithms", "chance", "--json")
    content = json.loads(out)
    assert [record["status"] for record in content["records"]] == ["ok"]
    assert content["exit_code"] == 0


@pytest.mark.parametrize("part", ["json", "npz"])
def test_a_flipped_byte_is_set_aside_and_its_cell_runs_again(shell, part):
    request = ("run", *SMALL, "--algorithms", "chance,protonet")
    shell(*request)
    expected = without_timings(table(shell))
    victim = shell.records()[-1].with_suffix(f".{part}")
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(bytes(content))
    out, err = shell(*request)
    assert victim.stem in err
    assert "2 found in the store" in out
    assert without_timings(table(shell)) == expected
    assert list((shell.folder / "results" / "quarantine").iterdir())


@pytest.mark.parametrize(
    ("flag", "value", "near"),
    [
        ("--domains", "tooy", "toy"),
        ("--sources", "blob", "blobs"),
        ("--encoders", "toy-liner", "toy-linear"),
        ("--algorithms", "protonett", "protonet"),
        ("--suite", "quik", "quick"),
    ],
)
def test_an_unknown_name_is_one_line_with_the_nearest_and_runs_nothing(shell, flag, value, near):
    out, err = shell("run", flag, value, code=2)
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert value in err
    assert near in err
    assert not (shell.folder / "results").exists()


def test_what_cannot_be_sampled_is_inapplicable_with_the_numbers(shell):
    out, _ = shell("run", *SMALL, "--sources", "few-blobs", "--algorithms", "chance")
    (row,) = table(shell)
    assert row["status"] == "inapplicable"
    assert "5 classes" in row["reason"]
    assert "has 4" in row["reason"]
    assert "inapplicable" in out
    shell("run", "--sources", "blobs", "--algorithms", "chance", "--shots", "29")
    (row,) = table(shell)
    assert "29 shot + 15 query" in row["reason"]
    assert "largest class 30" in row["reason"]


def test_each_kind_of_trouble_costs_its_own_cell(shell):
    request = (
        "run", *SMALL, "--encoders", "toy-plain", "--timeout", "12", "--jobs", "2",
        "--algorithms", "raiser,killer,exhauster,sleeper,protonet,maml",
    )  # fmt: skip
    shell(*request, code=1)
    rows = {row["algorithm"]: row for row in table(shell)}
    assert {name: row["status"] for name, row in rows.items()} == {
        "raiser": "failed",
        "killer": "killed",
        "exhauster": "killed",
        "sleeper": "timeout",
        "protonet": "ok",
        "maml": "inapplicable",
    }
    assert "ZeroDivisionError" in rows["raiser"]["reason"]
    assert "SIGKILL" in rows["killer"]["reason"]
    assert all(row["mean"] == "" for row in rows.values() if row["status"] != "ok")
    traces = list((shell.folder / "results" / "tracebacks").iterdir())
    assert any("a bug of the plugin" in trace.read_text() for trace in traces)


def test_a_dry_run_writes_nothing(shell):
    out, _ = shell("run", *SMALL, "--algorithms", "chance,protonet", "--dry-run")
    assert "3 to run" in out
    assert list(shell.folder.iterdir()) == []


def test_why_tells_found_from_stale_and_missing(finished):
    out, _ = finished("run", *SMALL, "--algorithms", LEARNERS)
    out, _ = finished("why", "blobs/toy-plain/protonet")
    assert ": found" in out
    finished("run", *SMALL[:-2], "--budget", "900", "--algorithms", "protonet", "--dry-run")
    out, err = finished("why", "blobs/toy-plain/protonett", code=2)
    assert "protonet" in err


def test_a_script_without_a_main_guard(shell):
    script = shell.folder / "script.py"
    script.write_text(
        "import metabench\n"
        "frame = metabench.run(domains=['toy'], algorithms=['chance', 'protonet'], shots=[1],\n"
        "                      episodes=20, budget=400)\n"
        "print(len(frame), list(frame.columns)[:3], frame['status'].tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=shell.folder, env=shell.environment,
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "3 ['domain', 'source', 'task_kind'] ['ok', 'ok', 'ok']"


@pytest.mark.parametrize("whom", ["parent", "group"])
def test_ctrl_c_ends_soon_keeps_cells_and_prints_the_command(shell, whom):
    request = ("run", *SMALL, "--encoders", "toy-plain", "--algorithms", "chance,protonet,sleeper")
    process = shell.start(*request)
    deadline = time.monotonic() + 120
    while len(shell.records()) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    started = time.monotonic()
    os.kill(process.pid, signal.SIGINT) if whom == "parent" else os.killpg(
        process.pid, signal.SIGINT
    )
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - started < 5  # two seconds on a quiet machine
    assert process.returncode == 130
    assert "resume with" in err
    assert " ".join(request) in err
    assert len(shell.records()) == 2


def test_a_store_that_is_a_file_is_a_clear_error(shell):
    (shell.folder / "results").write_text("no folder")
    _, err = shell("run", *SMALL, "--algorithms", "chance", code=2)
    assert len(err.strip().splitlines()) == 1
    assert "results" in err


@pytest.mark.slow
def test_kill_9_at_random_points_loses_and_doubles_nothing(shell):
    """Parents and workers are killed 22 times on one store; then the run completes."""
    request = (
        "run", "--domains", "toy", "--shots", "1,2,3,4,5,6,7,8", "--episodes", "30", "--budget",
        "3000", "--algorithms", "chance,nearest-mean,protonet,simpleshot", "--jobs", "2",
    )  # fmt: skip
    rng = np.random.default_rng(0)
    stamps = {}
    for attempt in range(22):
        process = shell.start(*request)
        time.sleep(float(rng.uniform(0.5, 6.0)))
        victims = [process.pid]
        if attempt % 2:
            found = subprocess.run(
                ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False
            ).stdout.split()
            victims = [int(rng.choice([int(pid) for pid in found]))] if found else []
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        if attempt % 2:
            time.sleep(1)
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        for path in shell.records():
            stamp = path.stat().st_mtime_ns
            if json.loads(path.read_text())["status"] == "ok":
                assert stamps.setdefault(path, stamp) == stamp, f"{path.name} ran twice"
    out, _ = shell(*request)
    assert "56 ok" in out
    for path, stamp in stamps.items():
        assert path.stat().st_mtime_ns == stamp, f"{path.name} ran again"
    assert not (shell.folder / "results" / "quarantine").exists()
    rows = table(shell)
    names = [(row["source"], row["encoder"], row["algorithm"], row["protocol"]) for row in rows]
    assert len(names) == len(set(names)) == 56


def test_a_range_of_ways_suits_learners_with_a_head_of_fixed_size(shell):
    suite = shell.folder / "uneven.toml"
    suite.write_text(
        'name = "uneven"\nsummary = "Meta-Dataset"\nshots = ["uneven"]\n'
        '[protocol]\nway = "5-50"\nepisodes = 10\nbudget = 1500\n'
        '[[entries]]\nsources = ["blobs"]\nencoders = ["toy-linear"]\n'
        'algorithms = ["anil", "chance", "maml", "protonet"]\n'
    )
    shell("run", "--suite", suite)
    rows = {row["algorithm"]: row for row in table(shell)}
    assert {name: row["status"] for name, row in rows.items()} == dict.fromkeys(rows, "ok")
    assert rows["chance"]["mean"] == rows["chance"]["chance"]
    assert rows["maml"]["way"] == "5-50"


def test_a_device_that_is_not_there_is_one_line_and_leaves_no_record(shell):
    _, err = shell("run", *SMALL, "--algorithms", "protonet", "--device", "cuda:77", code=2)
    assert "cuda:77" in err
    assert "Traceback" not in err
    assert shell.records() == []
