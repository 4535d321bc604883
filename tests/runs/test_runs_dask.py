"""The Dask executor: the same cells, and the same numbers."""

import os
import signal
import subprocess
import sys
import time

import pytest
from job_cases import __file__ as jobs_file
from run_cases import LEARNERS, SMALL
from test_runs_end_to_end import table, without_timings

pytest.importorskip("distributed")

from metabench.errors import UsageError
from metabench.runs.dask import DaskExecutor
from metabench.runs.jobs import Job, JobError

DASK = ("--executor", "dask", "--jobs", "2")


def test_the_same_table_as_the_local_executor(finished):
    finished("run", *SMALL, "--algorithms", LEARNERS, *DASK, "--store", "dask")
    assert without_timings(table(finished, store="dask")) == without_timings(table(finished))
    out, _ = finished("run", *SMALL, "--algorithms", LEARNERS, "--store", "dask")
    assert "9 found in the store" in out


def test_a_worker_that_dies_costs_one_cell_and_stdout_stays_clean(shell):
    names = "killer,raiser,chance,protonet,nearest-mean,simpleshot"
    out, err = shell("run", *SMALL, "--encoders", "toy-plain", *DASK, "--json",
                     "--algorithms", names, code=1)  # fmt: skip
    assert out.startswith("{\n")
    assert "Traceback" not in err
    rows = {row["algorithm"]: row for row in table(shell)}
    assert {name: row["status"] for name, row in rows.items()} == {
        "killer": "killed", "raiser": "failed", "chance": "ok", "protonet": "ok",
        "nearest-mean": "ok", "simpleshot": "ok",
    }  # fmt: skip
    assert "its Dask worker died" in rows["killer"]["reason"]


def test_ctrl_c_ends_a_cluster_too(shell):
    process = shell.start("run", *SMALL, "--encoders", "toy-plain", *DASK, "--algorithms",
                          "chance,sleeper")  # fmt: skip
    deadline = time.monotonic() + 120
    while not shell.records() and time.monotonic() < deadline:
        time.sleep(0.1)
    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - started < 8  # two seconds on a quiet machine
    assert process.returncode == 130
    assert "resume with" in err
    assert "Traceback" not in err


def test_a_script_without_a_main_guard(shell):
    (shell.folder / "script.py").write_text(
        "import metabench\n"
        "print('once')\n"
        "frame = metabench.run(domains=['toy'], algorithms=['chance'], shots=[1], episodes=20,\n"
        "                      executor='dask', jobs=1)\n"
        "print(frame['status'].tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=shell.folder, env=shell.environment,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout == "once\n['ok']\n", done.stderr


@pytest.fixture
def cluster():
    """A scheduler and a worker that somebody else has started."""
    import distributed

    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=4, processes=True, dashboard_address=None
    ) as cluster:
        with distributed.Client(cluster) as client:
            client.run(sys.path.insert, 0, os.path.dirname(jobs_file))  # noqa: PTH120
        yield cluster


def test_a_running_cluster_gets_one_job_per_worker_at_a_time(cluster, tmp_path):
    executor = DaskExecutor(cluster.scheduler_address, workers=9)
    todo = [Job(n, "note", "job_cases:note", str(tmp_path / "times")) for n in range(3)]
    todo.append(Job(3, "odd", "job_cases:odd", None))
    found = {o.job.number: o for o in executor.outcomes(todo) if o is not None}
    executor.close()
    assert [found[n].state for n in range(4)] == ["done", "done", "done", "raised"]
    assert isinstance(found[3].error, JobError)
    times = [float(line) for line in (tmp_path / "times").read_text().split()]
    assert times == sorted(times)
    assert all(end - begin >= 0.25 for begin, end in zip(times[::2], times[1::2], strict=True))
    assert len(cluster.scheduler.workers) == 1  # it was not ours to close


def test_an_address_where_nobody_listens(monkeypatch):
    monkeypatch.setattr("metabench.runs.dask.CONNECT_SECONDS", 1)
    with pytest.raises(UsageError, match=r"'tcp://127\.0\.0\.1:9' cannot be reached"):
        DaskExecutor("tcp://127.0.0.1:9", workers=1)
