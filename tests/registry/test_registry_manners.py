"""Plugins that are slow, loud or leave: what their users see."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fake_plugins import algorithm

from metabench.cli._common import circumstances
from metabench.registry import loading
from metabench.registry.discovery import load_plugins

ROOT = Path(__file__).parents[2]
EXITS = {"sys.exit": "import sys; sys.exit(3)", "exit": "raise SystemExit", "quit": "quit()"}


@pytest.fixture
def shell(site):
    """Runs ``metabench`` in another process that sees the folder of plugins alone."""

    def start(*arguments, **options):
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{site.path}:{ROOT}",
            "METABENCH_PLUGINS": ",".join(path.stem for path in site.path.glob("*.py")),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "metabench", *arguments], text=True, env=environment,
            cwd=site.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
        )  # fmt: skip

    return start


def finish(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_slow_import_is_named_while_it_lasts_and_afterwards(site, monkeypatch, capsys):
    monkeypatch.setattr(loading, "SLOW_IMPORT", 0.05)
    site.install("sleepy-one", "    import time; time.sleep(0.3)\n" + algorithm("x"), name="sleepy")
    site.install("swift", algorithm("y"))
    catalogue = load_plugins()
    assert list(catalogue.algorithms) == ["x", "y"]
    said = capsys.readouterr().err
    assert said.count("takes long") == 1
    assert (
        "metabench: importing the plugin sleepy-one 1.0 (sleepy) takes long; -p no:sleepy" in said
    )
    (problem,) = catalogue.problems
    assert problem.notice
    assert "importing sleepy_one took 0." in str(problem)
    assert "METABENCH_DISABLE_PLUGINS=sleepy leaves it out" in str(problem)


def test_a_plugin_that_hangs_is_named_and_can_be_interrupted_and_left_out(site, shell):
    """Thirty seconds are more than anyone waits for a list."""
    site.install("hangs", "    import time; time.sleep(30)\n" + algorithm("x"))
    process = shell("list", "algorithms")
    assert "importing the plugin hangs 1.0 takes long" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, out) == (130, "")
    assert "error: interrupted while the plugin hangs 1.0 was imported; -p no:hangs or" in err
    assert finish(shell("list", "algorithms", "-p", "no:hangs"))[0] == 0


def test_whoever_interrupts_from_python_is_told_too(site):
    site.install("hangs", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt) as caught:
        load_plugins()
    assert circumstances(caught.value).startswith(" while the plugin hangs 1.0 was imported")
    assert circumstances(None) == ""


@pytest.mark.parametrize("way", EXITS)
def test_a_plugin_that_exits_costs_one_line(site, way):
    site.install("leaves", EXITS[way])
    site.install("stays", algorithm("x"))
    catalogue = load_plugins()
    assert list(catalogue.algorithms) == ["x"]
    assert "importing leaves failed (SystemExit" in str(catalogue.problems[0])


def test_nothing_that_a_plugin_prints_reaches_stdout(site, shell):
    site.install(
        "loud",
        """
        import os, sys
        print("by print")
        sys.__stdout__.write("by the original stream\\n")
        os.write(1, b"by descriptor\\n")
        os.system("echo by a child")
        @hookimpl
        def metabench_algorithms():
            os.write(1, b"by a hook\\n")
            yield AlgorithmInfo(name="x", summary="s", target="a:b")
        """,
    )
    code, out, err = finish(shell("list", "domains", "--json"))
    assert (code, out) == (0, "[]\n")
    for how in ("print", "the original stream", "descriptor", "a child", "a hook"):
        assert f"by {how}\n" in err


def test_a_closed_stdout_is_no_obstacle(site):
    site.install("fine", algorithm("x"))
    code = (
        "import os; os.close(1)\n"
        "from metabench.registry.discovery import load_plugins\n"
        "os.write(2, ' '.join(load_plugins().algorithms).encode())"
    )
    environment = {"PYTHONPATH": f"{site.path}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert "x" in done.stderr.split()
