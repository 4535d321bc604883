"""The local executor: whatever becomes of a worker costs its own job and nothing else."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from metabench.errors import MetabenchError, UnavailableError
from metabench.runs import local
from metabench.runs.jobs import Job, JobError, Outcome, Turns
from metabench.runs.local import LocalExecutor
from metabench.runs.spawning import main_not_imported


def job(name, payload=None, *, number=0, **options):
    return Job(number, name, f"job_cases:{name}", payload, **options)


def jobs(*names):
    return [job(name, number=number) for number, name in enumerate(names)]


def ended(executor, todo):
    outcomes = [outcome for outcome in executor.outcomes(todo) if outcome is not None]
    assert sorted(outcome.job.number for outcome in outcomes) == [j.number for j in todo]
    return {outcome.job.label: outcome for outcome in outcomes}


def alive(pid):
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.fixture(scope="module")
def pool():
    executor = LocalExecutor(2, timeout=4.0)
    yield executor
    executor.close()


def test_the_heaviest_job_first_and_one_at_a_time_on_a_checkpoint():
    todo = [job("a", exclusive="x"), job("b", exclusive="x", weight=3), job("c", weight=2)]
    turns = Turns(todo)
    assert turns.take().label == "b"
    assert turns.take().label == "c"
    assert turns.take() is None
    assert len(turns) == 1
    turns.ended(Outcome(todo[1], "killed"))
    assert turns.take().label == "a"
    turns = Turns([*todo, job("d", exclusive="x")])
    first = turns.take()
    turns.ended(Outcome(first, "done"))
    assert [turns.take().label for _ in range(3)] == ["c", "a", "d"]


def test_each_end_of_a_job_is_told_apart_and_the_others_go_on(pool):
    names = ("pid", "die", "leave", "quit_politely", "odd", "odd_unavailable", "hang",
             "time_out", "unsendable", "report_much")  # fmt: skip
    todo = [
        job(name, number=number, reports=name == "report_much") for number, name in enumerate(names)
    ]
    found = ended(pool, todo)
    assert found["pid"].state == "done"
    assert found["report_much"].state == "done"
    assert (found["die"].state, found["die"].detail) == ("killed", "signal SIGKILL")
    assert (found["leave"].state, found["leave"].detail) == ("killed", "exit code 3")
    assert (found["hang"].state, found["hang"].detail) == ("timeout", "4 s")
    for name, text in {
        "quit_politely": "SystemExit: no more",
        "odd": "OddError: this and that",
        "time_out": "TimeoutError: the network is slow",
    }.items():
        assert found[name].state == "raised"
        assert isinstance(found[name].error, JobError)
        assert str(found[name].error) == text
        assert f"in {name}" in found[name].error.trace
    error = found["odd_unavailable"].error
    assert type(error) is UnavailableError
    assert str(error) == "this and that"
    assert found["unsendable"].state == "raised"
    assert "cannot pickle" in str(found["unsendable"].error)


def test_workers_stay_and_do_not_import_the_main_module(pool):
    before = {outcome.value for outcome in ended(pool, [job("pid")]).values()}
    after = {o.value for o in pool.outcomes([job("pid", number=n) for n in range(6)]) if o}
    assert before <= after
    assert len(after) <= 2
    (outcome,) = ended(pool, [job("main_module")]).values()
    assert outcome.value[0] in after
    assert outcome.value[1] is None


def test_a_worker_that_is_killed_while_idle_costs_nothing(pool):
    (outcome,) = ended(pool, [job("pid")]).values()
    os.kill(outcome.value, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while alive(outcome.value) and time.monotonic() < deadline:
        time.sleep(0.05)
    (again,) = ended(pool, [job("pid")]).values()
    assert again.state == "done", again
    assert again.value != outcome.value


def test_a_shared_checkpoint_is_trained_by_one_while_the_other_waits(pool, tmp_path):
    path = tmp_path / "times"
    todo = [job("note", str(path), number=n, exclusive="same") for n in range(2)]
    assert [o.state for o in pool.outcomes(todo) if o] == ["done", "done"]
    begun, ended_, begun_again, _ = map(float, path.read_text().split())
    assert begun < ended_ <= begun_again


def test_what_a_plugin_prints_goes_to_stderr(pool, capfd):
    (outcome,) = ended(pool, [job("chatter")]).values()
    assert outcome.value == "done"
    shown = capfd.readouterr()
    assert shown.out == ""


def test_a_user_s_own_processes_are_left_alone():
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    with main_not_imported():
        process.start()
    executor = LocalExecutor(1)
    assert ended(executor, [job("pid")])["pid"].state == "done"
    executor.close()
    assert process.is_alive()
    process.kill()
    process.join()


def test_closing_is_quick_and_leaves_nothing(tmp_path):
    executor = LocalExecutor(2)
    folder = Path(executor._progress.name)
    assert folder.is_dir()
    running = executor.outcomes([job("hang", number=0), job("hang", number=1)])
    deadline = time.monotonic() + 60
    while len(executor._busy()) < 2 and time.monotonic() < deadline:
        next(running)
    pids = [worker.process.pid for worker in executor._workers]
    assert len(executor.active()) == 2
    started = time.monotonic()
    executor.close()
    assert time.monotonic() - started < 2
    assert not any(map(alive, pids))
    assert not folder.exists()


def test_workers_that_cannot_start_end_the_run(monkeypatch):
    monkeypatch.setattr(local, "serve", _broken)
    executor = LocalExecutor(1)
    with pytest.raises(MetabenchError, match=r"3 workers in a row died .* \(exit code 7\)"):
        ended(executor, [job("pid")])
    executor.close()


def _broken(*_):
    os._exit(7)


def test_from_a_thread():
    found = {}

    def work():
        executor = LocalExecutor(1)
        found.update(ended(executor, [job("pid")]))
        executor.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert found["pid"].state == "done"


PARENT = """
import sys
sys.path[:0] = {path!r}
from metabench.runs.jobs import Job
from metabench.runs.local import LocalExecutor
executor = LocalExecutor(2)
print(executor._progress.name, flush=True)
jobs = [Job(n, "hang", "job_cases:hang", None) for n in range(2)]
for _ in executor.outcomes(jobs):
    if len(executor._busy()) == 2:
        print(*[w.process.pid for w in executor._workers], flush=True)
        break
{end}
"""


@pytest.mark.parametrize("end", ["while True: pass", "sys.exit(5)"], ids=["killed", "not closed"])
def test_workers_and_folder_are_gone_soon_after_their_parent(end):
    text = PARENT.format(path=[str(Path(__file__).parent)], end=end)
    parent = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    folder = Path(parent.stdout.readline().strip())
    pids = list(map(int, parent.stdout.readline().split()))
    assert len(pids) == 2
    if "while" in end:
        parent.kill()
    parent.wait(timeout=5)
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while (any(map(alive, pids)) or folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, pids))
    assert not folder.exists()
