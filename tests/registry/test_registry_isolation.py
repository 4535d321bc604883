"""Whatever one plugin does, it costs one line and nothing of the others."""

import subprocess
import sys
from pathlib import Path

import pytest
from fake_plugins import algorithm

from metabench.errors import MetabenchError
from metabench.registry.discovery import load_plugins

BROKEN = {
    "import error": ("import no_such_module_at_all", "No module named 'no_such_module_at_all'"),
    "system exit": ("raise SystemExit(3)", "SystemExit: 3"),
    "base exception": ("raise GeneratorExit('odd')", "GeneratorExit: odd"),
    "message of several lines": ("raise ValueError('one\\ntwo')", "ValueError: one two"),
    "syntax error": ("def broken(:", "SyntaxError"),
    "no hooks": ("x = 1", "implements no hook"),
    "mistyped hook": (
        "@hookimpl\ndef metabench_algoritms(): return []",
        "metabench_algoritms, which is no hook; did you mean metabench_algorithms?",
    ),
    "not marked": ("def metabench_encoders(): return []", "not marked as a hook implementation"),
    "unknown argument": (
        "@hookimpl\ndef metabench_encoders(colour): return []",
        "its hooks do not fit the specification (hookimpl definition: metabench_encoders(colour)",
    ),
    "argument with a default": (
        "@hookimpl\ndef metabench_cell_finished(record=None): pass",
        "metabench_cell_finished gives record a default",
    ),
    "wrapper": (
        "@hookimpl(wrapper=True)\ndef metabench_encoders():\n    return (yield)",
        "is a wrapper",
    ),
    "wrapper that is no generator": (
        "@hookimpl(wrapper=True)\ndef metabench_encoders(): return []",
        "its hooks do not fit the specification",
    ),
    "hook raises": (
        "@hookimpl\ndef metabench_encoders(): raise RuntimeError('boom')",
        "its metabench_encoders failed (RuntimeError: boom)",
    ),
    "hook exits": (
        "@hookimpl\ndef metabench_encoders(): raise SystemExit",
        "its metabench_encoders failed (SystemExit)",
    ),
    "generator raises late": (
        """
        @hookimpl
        def metabench_algorithms():
            yield AlgorithmInfo(name="late", summary="s", target="a:b")
            raise RuntimeError("too late")
        """,
        "its metabench_algorithms failed (RuntimeError: too late)",
    ),
    "hook returns None": (
        "@hookimpl\ndef metabench_encoders(): pass",
        "returned None, not an iterable of EncoderInfo",
    ),
    "hook returns a number": (
        "@hookimpl\ndef metabench_encoders(): return 7",
        "returned int, not an iterable of EncoderInfo",
    ),
    "hook returns a string": (
        "@hookimpl\ndef metabench_encoders(): return 'conv4'",
        "returned str, not an iterable of EncoderInfo",
    ),
    "hook is a coroutine": (
        "@hookimpl\nasync def metabench_encoders(): return []",
        "returned coroutine, not an iterable of EncoderInfo",
    ),
    "hook yields the wrong type": (
        algorithm("x").replace("metabench_algorithms", "metabench_encoders"),
        "yielded AlgorithmInfo, not EncoderInfo",
    ),
    "endless hook": (
        """
        import itertools
        @hookimpl
        def metabench_algorithms():
            for i in itertools.count():
                yield AlgorithmInfo(name=f"a{i}", summary="s", target="a:b")
        """,
        "yields more than 10000 descriptors",
    ),
    "wrong fields": (
        "@hookimpl\ndef metabench_algorithms(): yield AlgorithmInfo(name='x')",
        "its metabench_algorithms failed (TypeError",
    ),
    "invalid name": (algorithm("Not A Name"), "name 'Not A Name' is not a name like"),
    "name twice": (
        """
        @hookimpl
        def metabench_algorithms():
            return [AlgorithmInfo(name="x", summary="s", target="a:b")] * 2
        """,
        "it yields the algorithm 'x' twice",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.filterwarnings("ignore:coroutine")
def test_a_broken_plugin_costs_one_line(site, case):
    source, expected = BROKEN[case]
    site.install("aa-good", algorithm("first"))
    site.install("bad-one", source, name="bad", version="2.5")
    site.install("zz-good", algorithm("last"))
    catalogue = load_plugins()
    (problem,) = catalogue.problems
    assert expected in str(problem)
    assert str(problem).startswith("plugin bad-one 2.5: ")
    assert "left out" in str(problem)
    assert "-p no:bad" in str(problem)
    assert "\n" not in str(problem)
    assert list(catalogue.algorithms) == ["first", "last"]
    assert [p.distribution for p in catalogue.plugins] == ["metabench", "aa-good", "zz-good"]


def test_nothing_stays_half_registered(site):
    """Its algorithm and its observer are fine, but its encoder is not."""
    site.install(
        "half",
        algorithm("half")
        + """
    calls = []
    @hookimpl
    def metabench_run_started(cells, store):
        calls.append(cells)
    @hookimpl
    def metabench_encoders():
        yield EncoderInfo(name="e", summary="", target="a:b", modalities=("image",), trainable=True)
    """,
    )
    catalogue = load_plugins()
    assert "summary ''" in str(catalogue.problems[0])
    assert not catalogue.algorithms
    catalogue.notify("metabench_run_started", cells=1, store="s")
    assert sys.modules["half"].calls == []


def test_keyboard_interrupt_is_not_swallowed(site):
    site.install("slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_plugins()


def test_missing_attribute_and_malformed_entry_point(site):
    site.install("one", "", value="one:nothing_here")
    site.install("two", "", value="not a module!")
    problems = [str(p) for p in load_plugins().problems]
    assert "AttributeError" in problems[0]
    assert "not a module!" in problems[1]


def test_an_object_can_be_a_plugin(site):
    site.install(
        "objects",
        """
        class Plugin:
            @hookimpl
            def metabench_algorithms(self):
                return [AlgorithmInfo(name="from-object", summary="s", target="a:b")]
        plugin = Plugin()
        """,
        value="objects:plugin",
    )
    catalogue = load_plugins()
    assert not catalogue.problems
    assert catalogue.algorithm("from-object").plugin == "objects"


def test_what_a_plugin_prints_goes_to_stderr(site, capsys):
    site.install(
        "chatty",
        """
        print("hello from import")
        @hookimpl
        def metabench_algorithms():
            print("hello from the hook")
            return []
        @hookimpl
        def metabench_run_started(cells):
            print("hello from the observer")
        """,
    )
    load_plugins().notify("metabench_run_started", cells=1, store="s")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("hello from") == 3


def test_unreadable_metadata_are_reported(site):
    site.install("fine", algorithm("fine"))
    site.metadata("garbled", entry_points="[metabench]\nno equals sign here\n")
    catalogue = load_plugins()
    assert list(catalogue.algorithms) == ["fine"]
    assert "garbled" in str(catalogue.problems[0])


def test_strict_raises_every_line(site):
    site.install("one", "raise ValueError('a')")
    site.install("two", "raise ValueError('b')")
    with pytest.raises(MetabenchError) as caught:
        load_plugins(strict=True)
    assert len(str(caught.value).splitlines()) == 2


def test_optional_hooks_of_a_later_metabench_are_accepted(site):
    site.install(
        "modern",
        algorithm("modern") + "\n    @hookimpl(optionalhook=True)\n"
        "    def metabench_from_the_future(): return []\n",
    )
    assert not load_plugins().problems


def test_raising_observer_is_reported_once_and_others_are_called(site, capsys):
    observer = """
    seen = []
    @hookimpl
    def metabench_cell_finished(record):
        seen.append(record)
        {action}
    """
    site.install("aa-raises", observer.format(action="raise SystemExit('tracker is down')"))
    site.install("zz-works", observer.format(action="pass"))
    catalogue = load_plugins()
    for number in range(3):
        catalogue.notify("metabench_cell_finished", record=number)
    assert sys.modules["aa_raises"].seen == sys.modules["zz_works"].seen == [0, 1, 2]
    (problem,) = catalogue.problems
    assert "metabench_cell_finished raised SystemExit: tracker is down" in str(problem)
    assert capsys.readouterr().err.count("tracker is down") == 1
    assert catalogue.plugins[1].provides["observers"] == 1


def test_only_observers_can_be_notified(site):
    with pytest.raises(ValueError, match="is no observer"):
        load_plugins().notify("metabench_encoders")


def test_discovery_imports_nothing_heavy():
    code = "import sys; from metabench.registry.discovery import load_plugins as f; f(); "
    code += "print(*{'torch', 'pandas', 'numpy', 'pydantic', 'rich'} & set(sys.modules))"
    root = Path(__file__).parents[2]
    environment = {"PYTHONPATH": str(root), "METABENCH_DISABLE_PLUGINS": "*"}
    output = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert output.strip() == ""
