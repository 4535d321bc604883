"""Trackers are off by default, work beside the run, and their failures harm nobody."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from trk_cases import Noting, record

from metabench_trackers import observing
from metabench_trackers.naming import LONGEST, metric_name
from metabench_trackers.observing import Observer

HERE = Path(__file__).parent
TRACKERS = ("mlflow", "wandb")


@pytest.fixture(autouse=True)
def _nothing_noted(monkeypatch):
    monkeypatch.setattr(Noting, "calls", [])
    monkeypatch.delenv("METABENCH_NOTING", raising=False)


def observer(tracker="Noting", library="json"):
    return Observer("METABENCH_NOTING", library, f"trk_cases:{tracker}")


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_nothing_happens_unless_it_is_switched_on(monkeypatch):
    for value in (None, "", "  "):
        if value is not None:
            monkeypatch.setenv("METABENCH_NOTING", value)
        one = observer()
        one.started(3, "/store")
        one.finished_cell(record())
        one.finished(("a.csv",))
    assert Noting.calls == []


def test_a_run_in_order_and_in_another_thread(monkeypatch):
    monkeypatch.setenv("METABENCH_NOTING", " here ")
    one = observer()
    one.started(2, "/store")
    one.finished_cell(record("a"))
    one.finished_cell(record("b", status="failed"))
    one.finished(("a.csv",))
    assert [call[:-1] for call in Noting.calls] == [
        ("made", "here"),
        ("start", 2, "/store"),
        ("cell", "a"),
        ("cell", "b"),
        ("finish", ("a.csv",), {"ok": 1, "failed": 1}),
    ]
    assert not any(call[-1] for call in Noting.calls)
    one.finished(("again.csv",))  # a run that carried out nothing tells of no beginning
    assert len(Noting.calls) == 5


def test_a_run_that_never_ended_is_aborted_when_the_next_begins(monkeypatch):
    monkeypatch.setenv("METABENCH_NOTING", "here")
    one = observer()
    one.started(1, "/first")
    one.started(1, "/second")
    one.finished(())
    names = [call[0] for call in Noting.calls]
    assert names == ["made", "start", "abort", "made", "start", "finish"]


def test_a_failure_is_told_once_and_the_tracker_left_alone(monkeypatch):
    monkeypatch.setenv("METABENCH_NOTING", "here")
    one = observer("Failing")
    one.started(3, "/store")
    one.finished_cell(record("a"))
    session = one._session
    wait_for(lambda: session.error is not None)
    with pytest.raises(RuntimeError, match=r"json at METABENCH_NOTING failed \(ValueError: the"):
        one.finished_cell(record("b"))
    one.finished_cell(record("c"))
    one.finished(())
    assert [call[1] for call in Noting.calls if call[0] == "cell"] == ["a"]


def test_a_failure_at_the_end_is_told_too(monkeypatch):
    monkeypatch.setenv("METABENCH_NOTING", "here")
    one = observer("Failing")
    one.started(1, "/store")
    one.finished_cell(record())
    with pytest.raises(RuntimeError, match="the server says no"):
        one.finished(())


def test_a_slow_tracker_does_not_hold_up_the_end_for_ever(monkeypatch):
    monkeypatch.setenv("METABENCH_NOTING", "here")
    monkeypatch.setattr(observing, "FINISH_SECONDS", 0.2)
    one = observer("Slow")
    one.started(1, "/store")
    with pytest.raises(RuntimeError, match=r"did not take everything within 0\.2 seconds"):
        one.finished(())


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch):
    monkeypatch.setenv("METABENCH_NOTING", "here")
    with pytest.raises(RuntimeError, match=r"pip install 'metabench-trackers\[no_such_library\]'"):
        observer(library="no_such_library").started(1, "/store")


def test_an_interrupted_process_aborts_its_run(tmp_path):
    code = (
        "from metabench_trackers.observing import Observer;"
        "one = Observer('METABENCH_NOTING', 'json', 'trk_cases:Writing');"
        "one.started(1, '/store'); raise KeyboardInterrupt"
    )
    log = tmp_path / "log"
    subprocess.run(
        [sys.executable, "-c", code], check=False, stderr=subprocess.DEVNULL, cwd=HERE,
        env={"METABENCH_NOTING": str(log), "PYTHONPATH": str(HERE)},
    )  # fmt: skip
    assert log.read_text().split() == ["start", "abort"]


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_that_is_off_is_not_imported(name):
    code = (
        f"import sys; import metabench_trackers.{name}_observer as one;"
        "one.metabench_run_started(1, '/x'); one.metabench_run_finished(());"
        "heavy = {'mlflow', 'wandb', 'torch', 'pandas', 'pydantic'} & sys.modules.keys();"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_registry_takes_the_plugins():
    from metabench.registry.discovery import load_plugins

    found = {plugin.name: plugin for plugin in load_plugins().plugins}
    for name in TRACKERS:
        assert found[name].distribution == "metabench-trackers"
        assert found[name].provides["observers"] == 3


def test_names_of_metrics():
    assert metric_name(record()) == "digits/pixels/protonet/quick-5w1s/seed0/accuracy"
    odd = [
        record("maml++"), record("maml__"), record("a", encoder="hf-text:../../etc"),
        record("a", encoder="x" * 400), record("a", encoder="x" * 401), record("a", encoder=".."),
    ]  # fmt: skip
    names = [metric_name(one) for one in odd]
    assert len(set(names)) == len(names)
    for name in names:
        assert len(name) <= LONGEST
        assert ".." not in name.split("/")
        assert all(c.isascii() and (c.isalnum() or c in "._-/") for c in name)
