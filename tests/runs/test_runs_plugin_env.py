"""``--plugin-env``: a plugin with dependencies of its own, in another interpreter."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from plan_cases import algorithm, catalogue, encoder, plan
from run_cases import SMALL

import metabench
from metabench.errors import MetabenchError, UsageError
from metabench.registry.catalogue import Entry
from metabench.registry.discovery import load_plugins
from metabench.registry.elsewhere import There, core_digest, plugins_elsewhere
from metabench.registry.home import HERE, Environment
from metabench.runs.jobs import Job
from metabench.runs.known import strangers
from metabench.runs.local import LocalExecutor
from metabench.runs.outcomes import unanswered
from metabench.runs.parts import make_part
from metabench.runs.why import key_changes

ROOT = Path(__file__).parents[2]
CONFLICT = ROOT / "tests" / "samples" / "conflict"
HEAVY = sysconfig.get_path("purelib")
ONE = (*SMALL, "--sources", "blobs", "--encoders", "toy-plain", "--jobs", "1")


def venv(folder, *borrowed):
    """An environment that borrows modules, and what is installed beside them, from folders."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text("".join(f"{path}\n" for path in borrowed))
    return site


def install(folder, *projects):
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "-q"]
    flags = ["--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, *flags, *projects], check=True)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """An environment with the plugin and version 2 of its dependency."""
    folder = tmp_path_factory.mktemp("elsewhere") / "venv"
    heavy = [path for path in sys.path if path.endswith("site-packages") and path != HEAVY]
    venv(folder, ROOT, ROOT / "plugins" / "algorithms", HEAVY, *heavy)
    install(folder, CONFLICT / "plugin", CONFLICT / "palette2")
    return folder


@pytest.fixture(scope="module")
def ran(tmp_path_factory, toy_site, elsewhere):
    from run_cases import Shell

    shell = Shell(tmp_path_factory.mktemp("ran"), toy_site)
    learners = "nearest-mean,tinted-mean,tinted-crash,tinted-sleep"
    shell.out, shell.err = shell(
        "run", *ONE, "--algorithms", learners, "--plugin-env", f"tinted={elsewhere}",
        "--timeout", "8", code=1,
    )  # fmt: skip
    return shell


def records(shell):
    found = [json.loads(path.read_text()) for path in shell.records()]
    return {(r["cell"]["encoder"], r["cell"]["algorithm"]): r for r in found}


@pytest.mark.slow
def test_cells_of_the_plugin_run_there_on_the_same_episodes(ran):
    found = records(ran)
    here, there = found["toy-plain", "nearest-mean"], found["toy-plain", "tinted-mean"]
    assert there["status"] == "ok"
    assert there["mean"] == here["mean"]
    assert there["episodes_digest"] == here["episodes_digest"]
    assert there["cell"]["plugin"] == "metabench-tinted"
    assert "tinted-mean" in ran.out


@pytest.mark.slow
def test_the_record_says_what_ran_it(ran, elsewhere):
    found = records(ran)
    told = found["toy-plain", "tinted-mean"]["provenance"]["plugin_env"]["algorithm"]
    assert told["plugin"] == "metabench-tinted 1.2.0"
    assert told["interpreter"] == str(elsewhere)
    assert told["versions"]["metabench-sample-palette"] == "2.0.0"
    assert {"python", "torch", "numpy"} <= told["versions"].keys()
    killed = found["toy-plain", "tinted-crash"]["provenance"]
    assert killed["plugin_env"]["algorithm"] == told
    assert killed["torch"] == told["versions"]["torch"]
    assert "plugin_env" not in found["toy-plain", "nearest-mean"]["provenance"]


@pytest.mark.slow
def test_a_crash_or_a_timeout_costs_one_cell(ran):
    found = records(ran)
    crash, sleep = found["toy-plain", "tinted-crash"], found["toy-plain", "tinted-sleep"]
    assert (crash["status"], sleep["status"]) == ("killed", "timeout")
    assert "SIGKILL" in crash["failure"]["reason"]
    assert "8 s" in sleep["failure"]["reason"]


@pytest.mark.slow
def test_the_same_command_finds_its_cells_and_says_why(ran, elsewhere):
    flags = ("--algorithms", "tinted-mean", "--plugin-env", f"tinted={elsewhere}")
    out, _ = ran("run", *ONE, *flags)
    assert "1 found in the store" in out
    out, _ = ran("run", *ONE, *flags, "--dry-run")
    assert "1 found in the store, 0 to run" in out
    out, _ = ran("why", "blobs/toy-plain/tinted-mean")
    assert "found" in out
    _, err = ran("run", *ONE, "--algorithms", "tinted-mean", code=2)
    assert "unknown algorithm 'tinted-mean'" in err


@pytest.mark.slow
def test_its_frozen_encoder_serves_the_learners_of_this_interpreter(ran, elsewhere):
    (ran.folder / "metabench.toml").write_text(f'[run]\nplugin-env = ["tinted={elsewhere}"]\n')
    flags = ("--sources", "blobs", "--encoders", "tinted-frozen", "--algorithms", "nearest-mean")
    ran("run", *SMALL, *flags)
    (ran.folder / "metabench.toml").unlink()
    found = records(ran)
    here, mixed = found["toy-plain", "nearest-mean"], found["tinted-frozen", "nearest-mean"]
    assert mixed["mean"] == pytest.approx(here["mean"])
    assert mixed["provenance"]["plugin_env"].keys() == {"encoder"}


@pytest.mark.slow
def test_what_the_cell_needs_beside_it_has_to_be_there_too(shell, elsewhere):
    out, _ = shell(
        "run", *SMALL, "--sources", "blobs", "--encoders", "toy-linear", "--algorithms",
        "tinted-mean", "--plugin-env", f"tinted={elsewhere}",
    )  # fmt: skip
    assert "unavailable" in out
    ((_, record),) = records(shell).items()
    assert (
        "toy-linear of metabench-toy 0.3.0 is not installed in the env"
        in (record["failure"]["reason"])
    )


@pytest.mark.slow
def test_it_replaces_an_installed_plugin_whose_dependency_conflicts(shell, elsewhere, tmp_path):
    site = tmp_path / "here"
    flags = ["--no-index", "--no-deps", "--no-build-isolation", "--target", site]
    pip = [sys.executable, "-m", "pip", "install", "-q", *flags]
    subprocess.run([*pip, CONFLICT / "plugin", CONFLICT / "palette1"], check=True)
    shell.environment["PYTHONPATH"] += f"{os.pathsep}{site}"
    one = (*ONE, "--algorithms", "tinted-mean")
    out, _ = shell("run", *one, code=1)
    assert "cannot import name 'mix'" in " ".join(out.split())
    out, _ = shell("run", *one, "--plugin-env", f"metabench_tinted={elsewhere / 'bin' / 'python'}")
    assert "1 ok" in out


def test_descriptors_are_those_of_the_plugin_and_digests_are_from_there(elsewhere):
    (provision,), problems = plugins_elsewhere("tinted", str(elsewhere))
    assert problems == []
    infos = {info.name: info for infos in provision.descriptors.values() for info in infos}
    mean = infos["tinted-mean"]
    assert mean.requires == ("metabench_sample_palette",)
    assert infos["tinted-frozen"].modalities == ("*",)
    home = provision.candidate.home
    assert isinstance(home, There)
    assert len(home.code(mean.target)) == 64
    assert home.code("metabench_tinted.plugin:metabench_encoders")  # asked for anew
    assert home.code("nowhere:x") == ""
    assert HERE.code(mean.target) == ""
    assert home.missing(["torch", "metabench_sample_palette", "nowhere"]) == ("nowhere",)
    assert home.libraries(["metabench_sample_palette"]) == {
        "metabench_sample_palette": "metabench-sample-palette 2.0.0"
    }
    found = load_plugins(environments={"tinted": str(elsewhere)})
    part = make_part(found.algorithm("tinted-mean"), "tinted-mean")
    assert part.code == home.code(mean.target)
    assert part.environment.versions["torch"]
    assert (part.missing, part.version) == ((), "1.2.0")


@pytest.fixture(scope="module")
def poor(tmp_path_factory):
    """Environments that lack something, by what they lack."""
    folder = tmp_path_factory.mktemp("poor")
    venv(folder / "metabench")
    site = venv(folder / "version")
    (site / "metabench").mkdir()
    (site / "metabench" / "__init__.py").write_text("__version__ = '0.0.1'\n")
    venv(folder / "dependencies", ROOT)
    core = venv(folder / "code") / "metabench"
    shutil.copytree(ROOT / "metabench", core, ignore=shutil.ignore_patterns("__pycache__"))
    with (core / "learners" / "evaluation.py").open("a") as file:
        file.write("\n# patched\n")
    (folder / "folder").mkdir()
    (folder / "echo").write_text("#!/bin/sh\necho hello\n")
    (folder / "echo").chmod(0o755)
    (folder / "text").write_text("no program")
    return folder


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        ("nothing-is-here", "there is no such interpreter"),
        ("text", "there is no such interpreter"),
        ("folder", "the folder holds no bin/python"),
        ("echo", "does not answer as Python 3.11 or newer does"),
        ("metabench", "metabench cannot be imported there (No module named 'metabench')"),
        ("version", f"it has metabench 0.0.1, and this is {metabench.__version__}"),
        ("code", f"both called {metabench.__version__}, but their code differs; install the same"),
        ("dependencies", "metabench cannot be imported there (No module named"),
    ],
)
def test_what_is_wrong_with_an_interpreter_is_told_in_one_line(poor, lacks, said):
    with pytest.raises(UsageError) as caught:
        plugins_elsewhere("tinted", str(poor / lacks))
    message = str(caught.value)
    assert message.startswith(f"--plugin-env tinted={poor / lacks}: ")
    assert said in message
    assert len(message.splitlines()) == 1


def test_the_digest_of_the_core_is_that_of_its_python_files(tmp_path):
    core = shutil.copytree(ROOT / "metabench", tmp_path / "metabench")
    assert core_digest(str(core / "__init__.py")) == core_digest(metabench.__file__)
    module = core / "learners" / "evaluation.py"
    text = module.read_bytes()
    module.write_bytes(text.replace(b"\n", b"\r\n"))
    assert core_digest(str(core / "__init__.py")) == core_digest(metabench.__file__)
    module.rename(module.with_name("other.py"))
    assert core_digest(str(core / "__init__.py")) != core_digest(metabench.__file__)


def test_a_plugin_that_is_not_there(elsewhere):
    with pytest.raises(UsageError, match=r"no plugin of that name .* did you mean tinted\?$"):
        plugins_elsewhere("tintet", str(elsewhere))
    with pytest.raises(UsageError, match=r"pip install zzz-qqq` installs it$"):
        plugins_elsewhere("zzz-qqq", str(elsewhere))
    with pytest.raises(UsageError, match="metabench itself"):
        plugins_elsewhere("metabench", str(elsewhere))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--plugin-env", "tinted"), "--plugin-env 'tinted' is not of the form NAME=PYTHON"),
        (("--plugin-env", "a=b", "--plugin-env", "a=c"), "gives a two interpreters: b, c"),
        (
            ("--plugin-env", "tinted=python", "--executor", "dask"),
            "--plugin-env needs --executor local",
        ),
    ],
)
def test_mistakes_on_the_command_line(shell, flags, said):
    _, err = shell("run", *ONE, *flags, code=2)
    assert said in err
    assert len(err.splitlines()) == 1


class Abroad:
    """An installation that has everything."""

    def __init__(self, name, executable, **versions):
        self.environment = Environment(name, name, executable, versions)

    def code(self, _target):
        return "c" * 64

    def dependencies(self, _distribution):
        return {"palette": self.environment.versions.get("palette", "1.0")}

    def libraries(self, names):
        return dict.fromkeys(names, "1")

    def missing(self, _modules):
        return ()


@pytest.mark.parametrize(
    ("trainable", "executables", "state"),
    [
        (True, ("/a", "/b"), "unavailable"),
        (True, ("/a", "/a"), None),
        (False, ("/a", "/b"), None),
    ],
)
def test_a_cell_runs_in_one_interpreter(trainable, executables, state):
    one, other = (Abroad(f"plugin{n}", path) for n, path in enumerate(executables))
    cells = plan(
        {"sources": ["blobs"], "encoders": ["coder"], "algorithms": ["learner"], "shots": [1]},
        algorithms={"learner": Entry(algorithm("learner"), "a", "1", one)},
        encoders={"coder": Entry(encoder("coder", trainable=trainable), "b", "1", other)},
    )
    (cell,) = cells.values()
    assert (cell.verdict and cell.verdict.status) == state
    if state:
        assert "the environment of plugin0 (plugin0)" in cell.verdict.reason
        assert "the environment of plugin1 (plugin1)" in cell.verdict.reason
    else:
        assert cell.task.environment == one.environment
    assert cell.task.key_parts["algorithm"]["code"] == "c" * 64


def checkpoints(home):
    """The first checkpoint's key of a supervised learner of one's own, and of one from there."""
    cells = plan(
        {"sources": ["blobs"], "encoders": ["coder"], "shots": [1]},
        algorithms={
            name: Entry(algorithm(name, recipe="supervised"), "a", "1", place)
            for name, place in {"own": HERE, "other": home}.items()
        },
        encoders={"coder": Entry(encoder("coder"), "b", "1")},
    )
    found = {cell.task.cell.algorithm: cell.task.checkpoint_key(0) for cell in cells.values()}
    return found["own"], found["other"]


def test_interpreters_with_other_versions_share_no_checkpoint():
    own, old = checkpoints(Abroad("plugin", "/a", torch="2.6"))
    same, new = checkpoints(Abroad("plugin", "/a", torch="2.13"))
    assert own == same
    assert len({own, old, new}) == 3
    assert checkpoints(Abroad("again", "/b", torch="2.6")) == (own, old)


def planned(home):
    """A cell whose algorithm and frozen encoder are from one place."""
    cells = plan(
        {"sources": ["blobs"], "encoders": ["coder"], "algorithms": ["learner"], "shots": [1]},
        algorithms={"learner": Entry(algorithm("learner"), "a", "1", home)},
        encoders={"coder": Entry(encoder("coder", trainable=False), "b", "1", home)},
    )
    (cell,) = cells.values()
    return cell.task


def test_versions_of_what_a_plugin_needs_there_are_in_the_key():
    one, two = (planned(Abroad("plugin", "/a", palette=version)) for version in ("1.0", "2.0"))
    assert one.key != two.key
    assert list(key_changes(one.key_parts, two.key_parts)) == [
        "algorithm.dependencies.palette changed: 1.0 -> 2.0",
        "encoder.dependencies.palette changed: 1.0 -> 2.0",
    ]
    assert planned(Abroad("again", "/b", palette="2.0")).key == two.key
    here = planned(HERE).key_parts
    assert not {"dependencies", "environment"} & {*here["algorithm"], *here["encoder"]}


def test_a_record_from_there_is_compared_by_plugins_and_not_by_what_they_need():
    record = unanswered(planned(Abroad("plugin", "/a")), "failed", "for the test")
    assert record.key_parts["algorithm"]["dependencies"]
    installed = catalogue(
        algorithms={"learner": Entry(algorithm("learner"), "a", "1")},
        encoders={"coder": Entry(encoder("coder", trainable=False), "b", "1")},
    )
    parts = [told.split(" is ")[0] for told in strangers(record, installed)]
    assert parts == ["algorithm.code", "encoder.code"]


HERE_AGAIN = Environment("again", "again", sys.executable)


def job(number, target, payload, environment=None, **options):
    return Job(number, target, target, payload, environment=environment, **options)


def test_one_worker_serves_two_interpreters_in_turn():
    executor = LocalExecutor(1, timeout=4.0)
    jobs = [
        job(0, "os:getenv", "PYTHONPATH", HERE_AGAIN),
        job(1, "builtins:len", "four"),
        job(2, "os:_exit", 3, HERE_AGAIN),
        job(3, "builtins:int", "x", HERE_AGAIN),
        job(4, "time:sleep", 600, HERE_AGAIN),
        job(5, "builtins:len", "seven", HERE_AGAIN),
    ]
    try:
        outcomes = {o.job.number: o for o in executor.outcomes(jobs) if o is not None}
        assert executor.active() == []
    finally:
        executor.close()
    assert (outcomes[0].state, outcomes[0].value) == ("done", None)
    assert outcomes[1].value == 4
    assert (outcomes[2].state, outcomes[2].detail) == ("killed", "exit code 3")
    assert "invalid literal" in str(outcomes[3].error)
    assert outcomes[4].state == "timeout"
    assert outcomes[5].value == 5


def test_a_worker_ends_with_the_run():
    executor = LocalExecutor(1)
    try:
        outcomes = executor.outcomes([job(0, "builtins:len", "ab", HERE_AGAIN)])
        assert [outcome.value for outcome in outcomes if outcome is not None] == [2]
        (worker,) = executor._workers
    finally:
        executor.close()
    assert worker.process.exitcode is not None


def test_an_interpreter_whose_workers_do_not_start_is_named(poor):
    executor = LocalExecutor(1)
    environment = Environment("tinted", "poor", str(poor / "metabench" / "bin" / "python"))
    started = time.monotonic()
    try:
        with pytest.raises(MetabenchError, match=r"in the environment of tinted \(poor\)"):
            list(executor.outcomes([job(0, "builtins:len", "ab", environment)]))
    finally:
        executor.close()
    assert time.monotonic() - started < 60
