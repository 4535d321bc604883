"""What a notebook and a script show of a run."""

import sys
import types
import warnings

import pytest

from metabench.errors import UsageError
from metabench.runs import api, display, notebook
from metabench.runs.jobs import Progress
from metabench.runs.record import Cell, Failure, Record


def record(algorithm, mean=None):
    cell = Cell(
        domain="toy", source="blobs", task_kind="classification", encoder="<b>",
        algorithm=algorithm, encoder_policy="frozen", protocol="quick-5w1s",
        protocol_digest="p" * 64, way="5", shot="1",
        metric="accuracy", chance=0.2, best=1.0, seed=0, inductive=True, plugin="p",
        plugin_version="1",
    )  # fmt: skip
    failure = None if mean is not None else Failure(reason="it broke")
    status = "ok" if mean is not None else "failed"
    return Record(key="k" * 64, key_parts={}, cell=cell, status=status, mean=mean, failure=failure)


class Output:
    """Stands where IPython's display is: remembers what is drawn."""

    def __init__(self):
        self.drawn = []

    def __call__(self, shown):
        self.drawn.append(shown)
        return self

    def update(self, shown):
        self.drawn.append(shown)


def test_a_notebook_redraws_one_output(monkeypatch):
    output = Output()
    watcher = notebook.NotebookWatcher(output)
    watcher.recognised(["own data photos: 40 image files of 4 classes"])
    watcher.preparing(["load blobs"])
    watcher.planned(4, 1, 2, 30.0)
    monkeypatch.setattr(notebook, "SECONDS", 0.0)
    watcher.tick([Progress("blobs/x/y", "train", 1, 4)], 20.0)
    watcher.finished(record("protonet", 0.5), 1, 2)
    watcher.finished(record("maml"), 2, 2)
    text = repr(output.drawn[-1])
    assert "4 cells: 1 found in the store, 2 to run, 1 cannot be run" in text
    assert "own data photos" in text
    assert "accuracy 0.5000" in text
    assert "failed: it broke" in text
    html = output.drawn[-1]._repr_html_()
    assert '<progress value="2" max="2"' in html
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "train 25% blobs/x/y" in repr(output.drawn[-3])


def test_a_notebook_is_not_drawn_more_often_than_can_be_read():
    output = Output()
    watcher = notebook.NotebookWatcher(output)
    watcher.planned(100, 0, 100, 30.0)
    for done in range(1, 100):
        watcher.finished(record("protonet", 0.5), done, 100)
        watcher.tick([], None)
    assert len(output.drawn) < 10


def test_only_where_a_kernel_runs_is_a_notebook(monkeypatch):
    assert notebook.notebook_display() is None
    ipython = types.ModuleType("IPython")
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    ipython.get_ipython = lambda: None
    assert notebook.notebook_display() is None
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    shown = types.ModuleType("IPython.display")
    shown.display = lambda what, display_id: (what, display_id)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    assert notebook.notebook_display()("text") == ("text", True)


def test_plain_lines_where_there_is_no_terminal(capsys):
    watcher = display.ConsoleWatcher()
    with watcher:
        watcher.planned(2, 0, 2, 61.0)
        watcher.finished(record("protonet", 0.5), 1, 2)
        watcher.message("mind this")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "2 cells: 0 found in the store, 2 to run, about 1 min 01 s of work",
        "[1/2] blobs/<b>/protonet/quick-5w1s/seed0  accuracy 0.5000",
        "metabench: warning: mind this",
    ]


@pytest.mark.parametrize("progress", [True, False])
def test_in_python_messages_are_warnings_and_progress_can_be_silenced(capsys, progress):
    watcher, shown = api._watcher(progress=progress)
    with shown, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        watcher.planned(2, 0, 2, 61.0)
        watcher.message("mind this")
    assert [str(one.message) for one in caught] == ["mind this"]
    assert bool(capsys.readouterr().err) == progress


def test_an_unknown_field_of_a_run_is_named():
    with pytest.raises(UsageError, match=r"metabench\.run: unknown key 'domain'"):
        api.run_to_frame({"domain": "toy"}, progress=False)
