"""The commands that train nothing: help, list, plugin list, doctor; settings and errors."""

import json
import subprocess
import sys
import types
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from fake_plugins import algorithm

from metabench.cli import COMMANDS, _health, main
from metabench.cli._common import LazyGroup, Main
from metabench.cli._settings import ConfiguredCommand
from metabench.errors import MetabenchError, UsageError

ROOT = Path(__file__).parents[2]

CONTENT = """
    @hookimpl
    def metabench_task_sources():
        yield TaskSourceInfo(name="photos", summary="some photographs " * 8, target="a:b",
                             domain="vision", modality="image",
                             files=(DataFile(path="p/photos.zip"),))
        yield TaskSourceInfo(name="made-up", summary="[bold]generated[/bold]", target="a:b",
                             domain="nlp", modality="text", synthetic=True)
    @hookimpl
    def metabench_encoders():
        yield EncoderInfo(name="hf-vision", summary="any backbone", target="a:b",
                          modalities=("image",), trainable=False, argument="id or path")
"""


@pytest.fixture
def call(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def invoke(*arguments, command=main):
        return CliRunner().invoke(command, [str(argument) for argument in arguments])

    return invoke


@pytest.fixture
def content(site):
    site.install("content", CONTENT + algorithm("learner"), version="1.5")
    return site


def loaded_after(arguments):
    """Run a command in its own process and return the top-level modules that it imported."""
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*{m.partition('.')[0] for m in sys.modules}, "
        "file=sys.stderr))\n"
        "from metabench.cli import main\n"
        f"main({arguments!r}, prog_name='metabench')"
    )
    environment = {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, text=True, capture_output=True, check=True
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["--help"], {"torch", "pandas", "transformers", "rich", "pydantic", "numpy", "pluggy"}),
        (["list"], {"torch", "pandas", "transformers", "scipy", "numpy"}),
        (["list", "algorithms"], {"torch", "pandas", "transformers", "scipy", "pydantic"}),
        (["list", "sources", "--json"], {"torch", "pandas", "rich", "pydantic"}),
        (["compare", "--help"], {"torch", "pandas", "scipy", "numpy", "pydantic"}),
        (["data", "list"], {"torch", "pandas", "pooch", "requests", "pydantic"}),
        (["plugin", "--help"], {"torch", "pandas", "rich", "pydantic", "numpy", "pluggy"}),
        (["plugin", "new", "--help"], {"torch", "pandas", "rich", "pydantic", "numpy", "pluggy"}),
        (["--version"], {"torch", "pandas", "rich", "pydantic"}),
    ],
)
def test_commands_import_little(arguments, forbidden):
    loaded = loaded_after(arguments)
    assert "click" in loaded
    assert not loaded & forbidden


def test_help_names_every_command(call):
    for arguments in ((), ("--help",), ("-h",)):
        result = call(*arguments)
        assert result.exit_code == 0
        for name, (_, text) in COMMANDS.items():
            assert f"{name} " in result.output
            assert text in result.output


@pytest.mark.parametrize("group", ["data", "plugin"])
def test_groups_without_a_command_show_their_help(call, group):
    result = call(group)
    assert result.exit_code == 0
    assert "list " in result.output


def test_version_lists_plugins(call, content):
    result = call("--version")
    assert result.output.startswith("metabench 0.")
    assert "content: content 1.5" in result.output


@pytest.mark.parametrize("kind", ["domains", "sources", "encoders", "algorithms", "metrics"])
def test_lists(call, content, kind):
    expected = {
        "domains": ["nlp", "vision"],
        "sources": ["made-up", "photos"],
        "encoders": ["hf-vision"],
        "algorithms": ["learner"],
        "metrics": [
            "accuracy",
            "auroc",
            "average-precision",
            "delta-auprc",
            "mrr",
            "mse",
            "nmse",
            "r2",
        ],
    }[kind]
    items = json.loads(call("list", kind, "--json").stdout)
    assert [item["name"] for item in items] == expected
    table = call("list", kind).stdout
    for name in expected:
        assert name in table
    assert max(map(len, table.splitlines())) <= 80


def test_list_shows_arguments_and_takes_text_literally(call, content):
    table = " ".join(call("list", "encoders").stdout.split())
    assert "hf-vision:ARGUMENT image frozen any backbone; ARGUMENT: id or path" in table
    assert "[bold]generated" in "".join(call("list", "sources").stdout.split())
    item = json.loads(call("list", "sources", "--json").stdout)[1]
    assert item["files"] == [{"path": "p/photos.zip", "url": "", "sha256": ""}]
    assert (item["plugin"], item["version"]) == ("content", "1.5")


def test_list_suites(call, site, monkeypatch):
    suite = types.SimpleNamespace(name="quick", summary="four minutes")
    module = types.SimpleNamespace(load_suites=lambda: {"quick": suite})
    monkeypatch.setitem(sys.modules, "metabench.runs.suite", module)
    assert "four minutes" in call("list", "suites").stdout
    items = json.loads(call("list", "suites", "--json").stdout)
    assert items == [{"name": "quick", "summary": "four minutes"}]


def test_list_plugins_is_plugin_list(call, content):
    for flags in ((), ("--json",)):
        listed = call("list", "plugins", *flags).stdout
        assert listed == call("plugin", "list", *flags).stdout
        assert "content" in listed


def test_list_without_kind_is_an_overview(call, content):
    overview = json.loads(call("list", "--json").stdout)
    assert [item["name"] for item in overview["domains"]] == ["nlp", "vision"]
    assert "learner" in call("list").stdout


def test_list_of_nothing(call, site):
    result = call("list", "algorithms")
    assert (result.exit_code, result.stdout[:13]) == (0, "no algorithms")


def test_problems_go_to_stderr_in_one_line(call, content):
    content.install("broken", "raise RuntimeError('no luck')")
    result = call("list", "domains", "--json")
    assert result.exit_code == 0
    json.loads(result.stdout)
    (line,) = result.stderr.splitlines()
    assert line.startswith("metabench: warning: plugin broken 1.0: importing broken failed")


def test_strict_plugins(call, content):
    content.install("broken", "raise RuntimeError('no luck')")
    result = call("list", "domains", "--strict-plugins")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no luck" in result.stderr
    assert call("list", "domains", "--strict-plugins", "-p", "no:broken").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lst",), "unknown command 'lst'; did you mean list?"),
        (("list", "encoder"), "unknown kind 'encoder'; did you mean encoders"),
        (("list", "--jsn"), "No such option"),
        (("list", "-p", "content"), "-p 'content' is not of the form no:NAME"),
        (("list", "-p", "no:contant"), "unknown plugin 'contant'; did you mean content?"),
        (("data", "list", "photo"), "unknown source 'photo'; did you mean photos?"),
        (("data", "fech"), "unknown command 'fech'; did you mean fetch?"),
        (("data", "fetch"), "name the sources, or --all; with files: photos"),
        (("data", "fetch", "photos"), "there is no data directory"),
    ],
)
def test_usage_errors_are_one_line(call, content, arguments, message):
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("metabench: error: ")
    assert message in line


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MetabenchError("the disk is full"), 1, "the disk is full"),
        (UsageError("no such thing"), 2, "no such thing"),
        (click.Abort(), 130, "interrupted"),
    ],
)
def test_errors_and_exit_codes(call, monkeypatch, error, code, message):
    @click.command("fails")
    def fails():
        raise error

    module = types.SimpleNamespace(fails=fails)
    monkeypatch.setitem(sys.modules, "fake_command_module", module)
    group = Main("metabench", lazy={"fails": ("fake_command_module:fails", "Fail.")})
    result = call("fails", command=group)
    assert result.exit_code == code
    assert result.stderr == f"metabench: error: {message}\n"


def test_bugs_keep_their_traceback(call):
    group = Main("metabench", lazy={})
    group.add_command(click.Command("bug", callback=lambda: 1 / 0))
    assert isinstance(call("bug", command=group).exception, ZeroDivisionError)


def test_returned_numbers_are_exit_codes(call):
    group = Main("metabench", lazy={})
    for code in (0, 3):
        group.add_command(click.Command(f"c{code}", callback=lambda code=code: code))
        assert call(f"c{code}", command=group).exit_code == code


def test_lazy_commands_are_imported_when_called_only(call, site):
    (site.path / "lazy_command.py").write_text(
        "import click\n@click.command()\ndef hello(): click.echo('hello')\n"
    )
    group = LazyGroup("g", lazy={"hello": ("lazy_command:hello", "Say hello.")})
    assert "Say hello." in call("--help", command=group).output
    assert "lazy_command" not in sys.modules
    assert call("hello", command=group).output == "hello\n"


def echo_command(*, owns_section=True):
    @click.command(cls=ConfiguredCommand, owns_section=owns_section)
    @click.option("--suite", default="quick")
    @click.option("--jobs", type=int, default=1)
    @click.option("--dry-run", is_flag=True)
    @click.option("--data")
    @click.option("-p", "plugins", multiple=True)
    def echo(**values):
        click.echo(json.dumps(values))

    return echo


@pytest.fixture
def settings(call, monkeypatch):
    for variable in ("SUITE", "JOBS", "DRY_RUN", "DATA"):
        monkeypatch.delenv(f"METABENCH_{variable}", raising=False)

    def read(*arguments, text="", owns_section=True):
        Path("metabench.toml").write_text(text)
        group = Main("metabench", lazy={})
        group.add_command(echo_command(owns_section=owns_section), "echo")
        return call("echo", *arguments, command=group)

    return read


def test_settings_precedence(settings, monkeypatch):
    text = '[run]\nsuite = "file"\njobs = 2\ndry-run = true\np = ["no:x", "no:y"]\n'
    assert json.loads(settings().stdout)["suite"] == "quick"
    assert json.loads(settings(text=text).stdout) == {
        "suite": "file", "jobs": 2, "dry_run": True, "data": None, "plugins": ["no:x", "no:y"],
    }  # fmt: skip
    monkeypatch.setenv("METABENCH_SUITE", "environment")
    monkeypatch.setenv("METABENCH_DRY_RUN", "0")
    found = json.loads(settings(text=text).stdout)
    assert (found["suite"], found["dry_run"], found["jobs"]) == ("environment", False, 2)
    found = json.loads(settings("--suite", "flag", "--jobs", "3", text=text).stdout)
    assert (found["suite"], found["jobs"]) == ("flag", 3)


def test_lists_in_the_file_are_comma_separated(settings):
    assert json.loads(settings(text="[run]\nsuite = [1, 5]\n").stdout)["suite"] == "1,5"
    assert json.loads(settings(text='[run]\np = "no:x"\n').stdout)["plugins"] == ["no:x"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[run]\njbos = 2\n", "unknown key in [run] of {file} 'jbos'; did you mean jobs?"),
        ("[run]\ndry_run = true\n", "did you mean dry-run?"),
        (
            "[runs]\njobs = 2\n",
            "{file}: unknown table 'runs'; settings belong into the table [run]",
        ),
        ("jobs = 2\n", "{file}: unknown key 'jobs'"),
        ("run = 2\n", "{file}: run is not a table"),
        ("[run]\njobs = {a = 1}\n", "{file}: jobs in [run] is a table"),
        ("[run\n", "{file} cannot be read"),
        ('[run]\njobs = "x"\n', "'x' is not a valid integer. (from {file})"),
    ],
)
def test_errors_in_the_file(settings, text, message):
    result = settings(text=text)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert message.format(file=Path("metabench.toml").absolute()) in line


def test_a_misspelt_variable_is_named_and_that_of_another_command_is_not(call, monkeypatch):
    for variable in ("SUIT", "JOB", "ELSEWHERE", "DISABLE_PLUGIN"):
        monkeypatch.setenv(f"METABENCH_{variable}", "1")
    group = Main("metabench", lazy={})
    group.add_command(echo_command(owns_section=True), "echo")
    other = click.Option(["--job"], envvar="METABENCH_JOB")
    group.add_command(click.Command("other", params=[other]), "other")
    plugin, suite = call("echo", command=group).stderr.splitlines()
    assert "METABENCH_SUIT is set, and metabench does not read it" in suite
    assert suite.endswith("did you mean METABENCH_SUITE?")
    assert plugin.endswith("did you mean METABENCH_DISABLE_PLUGINS?")


def test_bad_environment_is_named(settings, monkeypatch):
    monkeypatch.setenv("METABENCH_JOBS", "many")
    result = settings()
    assert result.exit_code == 2
    assert "'many' is not a valid integer. (from the environment: METABENCH_JOBS)" in result.stderr


def test_other_commands_read_the_shared_keys_only(settings):
    text = '[run]\nsuite = "file"\ndata = "/d"\nbudget = 7\n'
    found = json.loads(settings(text=text, owns_section=False).stdout)
    assert (found["suite"], found["data"]) == ("quick", "/d")


@pytest.fixture
def probes(monkeypatch):
    """Replace the processes that import torch."""
    found = {
        "torch": {"version": "2", "devices": ["cpu"], "threads": 2, "cpu_bf16": True},
        "torchaudio": {"error": "OSError: libc10_cuda.so: cannot open shared object file"},
        "transformers": {"version": "5"},
    }
    monkeypatch.setattr(_health, "_is_installed", lambda _: True)
    monkeypatch.setattr(_health, "_start_probe", lambda name: name)
    monkeypatch.setattr(_health, "_result", lambda name: found[name])
    return found


def findings(result):
    return {(f["topic"], f["name"]): f for f in json.loads(result.stdout)}


def test_doctor(call, content, probes, tmp_path):
    content.install("broken", "raise RuntimeError('no luck')")
    (tmp_path / "data" / "p").mkdir(parents=True)
    result = call("doctor", "--json", "--data", tmp_path / "data")
    assert (result.exit_code, result.stderr) == (0, "")
    found = findings(result)
    assert found["versions", "python"]["value"] == ".".join(map(str, sys.version_info[:3]))
    assert found["versions", "torchaudio"]["status"] == "warn"
    assert "libc10_cuda.so" in found["versions", "torchaudio"]["text"]
    assert found["hardware", "bf16 on the CPU"]["value"] is True
    assert found["plugins", "broken"]["status"] == "warn"
    assert found["data", "photos"]["text"].startswith("0 of 1 files")
    assert found["store", "writable"]["value"]["writable"] is True
    assert not Path("results").exists()
    (tmp_path / "data" / "p" / "photos.zip").write_bytes(b"")
    table = call("doctor", "--data", tmp_path / "data").stdout
    assert "1 of 1 files" in table
    assert max(map(len, table.splitlines())) <= 80


def test_doctor_fails_if_a_run_could_not_work(call, site, probes):
    Path("results").write_text("a file")
    result = call("doctor", "--json")
    assert result.exit_code == 1
    assert "is not a folder" in findings(result)["store", "writable"]["text"]
    Path("results").unlink()
    probes["torch"] = {"error": "ImportError: broken"}
    result = call("doctor", "--json")
    assert (result.exit_code, findings(result)["versions", "torch"]["status"]) == (1, "fail")


def test_probes_run_in_their_own_process(site, monkeypatch):
    (site.path / "probe_ok.py").write_text("print('noise')\n__version__ = '7'\n")
    (site.path / "probe_raises.py").write_text("raise OSError('libc10_cuda.so')\n")
    (site.path / "probe_dies.py").write_text("import os; os._exit(9)\n")
    (site.path / "probe_hangs.py").write_text("import time; time.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(site.path))
    processes = {name: _health._start_probe(f"probe_{name}") for name in ("ok", "raises", "dies")}
    assert _health._result(processes["ok"]) == {"version": "7"}
    assert _health._result(processes["raises"]) == {"error": "OSError: libc10_cuda.so"}
    assert "exit code 9" in _health._result(processes["dies"])["error"]
    monkeypatch.setattr(_health, "PROBE_TIMEOUT", 0.2)
    assert "takes more than" in _health._result(_health._start_probe("probe_hangs"))["error"]
