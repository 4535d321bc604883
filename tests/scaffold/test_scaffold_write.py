"""`metabench plugin new` writes distributions that are complete as they are."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from metabench.errors import MetabenchError, UsageError
from metabench.hookspecs import API_VERSION
from metabench.scaffold import write, write_plugin
from metabench.scaffold.write import LICENCES

ROOT = Path(__file__).parents[2]
KINDS = {
    "algorithm": ("learner", ("plugin-near-mean-registers", "algorithm-near-mean-scores")),
    "encoder": ("encoder", ("plugin-near-mean-targets", "encoder-near-mean-embedding")),
    "source": ("data", ("plugin-near-mean-descriptors", "source-near-mean-loads")),
}
FIRST_LINES = {"MIT": "MIT License", "Apache-2.0": "Apache License", "BSD-3-Clause": "BSD 3-Clause"}


def files_below(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_distribution_is_complete(tmp_path, kind):
    written = write_plugin("near-mean", kind, tmp_path / "made")
    module = KINDS[kind][0]
    assert files_below(tmp_path / "made") == set(written.files) == {
        ".github/workflows/tests.yml", ".gitignore", "LICENSE", "README.md", "pyproject.toml",
        "near_mean/__init__.py", "near_mean/plugin.py", f"near_mean/{module}.py",
        "tests/test_conformance.py", "tests/test_near_mean.py",
    }  # fmt: skip
    for name in written.files:
        text = (tmp_path / "made" / name).read_text("utf-8")
        assert not re.search(r"\$[a-z]|TODO|FIXME|\.\.\.  #|NotImplemented", text), name
        assert text.endswith("\n")
    project = tomllib.loads((tmp_path / "made/pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {"metabench": {"near-mean": "near_mean.plugin"}}
    assert "metabench>=0.1.0" in project["dependencies"]
    assert f'metabench_api = "{API_VERSION}"' in (tmp_path / "made/near_mean/plugin.py").read_text()
    workflow = yaml.safe_load((tmp_path / "made/.github/workflows/tests.yml").read_text())
    steps = workflow["jobs"]["test"]["steps"]
    assert {"run": "metabench plugin check near-mean"} in steps
    assert steps[1]["with"]["python-version"] == "${{ matrix.python }}"
    assert written.commands[0] == f"pip install -e '{tmp_path / 'made'}[test]'"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["ab", "near-mean", "a-name-as-long-as-is-permitted"])
def test_files_are_clean(tmp_path, kind, name):
    folder = write_plugin(name, kind, tmp_path / name).folder
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("licence", LICENCES)
def test_licences_are_whole(tmp_path, licence):
    write_plugin("near-mean", "source", tmp_path / "made", licence=licence)
    text = (tmp_path / "made/LICENSE").read_text()
    assert text.lstrip().startswith(FIRST_LINES[licence])
    assert len(text) > 1000
    if licence != "Apache-2.0":
        assert "The near-mean authors" in text
    else:
        assert text == (ROOT / "LICENSE").read_text()
    assert f'license = "{licence}"' in (tmp_path / "made/pyproject.toml").read_text()


def installed_run(folder, *arguments):
    """Run Python as if the folder were installed: its code and metadata are on the path."""
    info = folder / "near_mean-0.1.0.dist-info"
    if not info.exists():
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        info.mkdir()
        lines = ["Metadata-Version: 2.4", "Name: near-mean", "Version: 0.1.0"]
        lines += [f"Summary: {project['description']}", f"License-Expression: {project['license']}"]
        lines += [f"Requires-Dist: {needed}" for needed in project["dependencies"]]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "entry_points.txt").write_text("[metabench]\nnear-mean = near_mean.plugin\n")
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_passes_its_own_tests_and_is_listed_at_once(tmp_path, kind):
    folder = write_plugin("near-mean", kind, tmp_path / "made").folder
    listed = installed_run(folder, "-m", "metabench", "list", f"{kind}s")
    assert listed.returncode == 0
    assert "near-mean" in listed.stdout
    assert "warning" not in listed.stderr
    done = installed_run(folder, "-m", "pytest", "-v", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout.splitlines()[-1]
    for test in KINDS[kind][1]:
        assert f"[{test}] PASSED" in done.stdout
    assert "tests/test_near_mean.py" in done.stdout


@pytest.mark.slow
def test_its_tests_mean_something(tmp_path):
    """A learner that peeks at the other queries fails one of them, with a review."""
    folder = write_plugin("near-mean", "algorithm", tmp_path / "made").folder
    learner = folder / "near_mean/learner.py"
    text = learner.read_text()
    spoiled = text.replace("(query.unsqueeze(2)", "((query - query.mean(1, True)).unsqueeze(2)")
    assert spoiled != text
    learner.write_text(spoiled)
    done = installed_run(folder, "-m", "pytest", "-q", "-k", "query-independence")
    assert done.returncode == 1
    assert "mend     Take statistics" in done.stdout


def test_an_encoder_of_another_modality(tmp_path):
    written = write_plugin("near-mean", "encoder", tmp_path / "made", modality="text")
    assert 'modalities=("text",)' in (written.folder / "near_mean/plugin.py").read_text()
    assert '"metabench-nlp"' in (written.folder / "pyproject.toml").read_text()
    assert written.commands[-1].startswith("metabench run --encoders near-mean --sources intents")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("Near_Mean", {}, "'Near_Mean' is not lower-case words joined by hyphens"),
        ("Near_Mean", {}, "did you mean near-mean?"),
        ("9lives", {}, "such as nearest-median"),
        ("a" * 31, {}, "30 characters at most; did you mean " + "a" * 30),
        ("../up", {}, "did you mean up?"),
        ("protonet", {}, "metabench-algorithms 0.1.0 has the algorithm 'protonet'"),
        ("vision", {}, "the plugin metabench-vision 0.1.0 has the name 'vision'"),
        ("metabench-nlp", {}, "the plugin metabench-nlp 0.1.0 has the name"),
        ("torch", {}, "Python finds a module torch already; add a word, such as torch-algorithm"),
        ("statistics", {}, "is Python's own; add a word, such as statistics-algorithm"),
        ("lambda", {}, "is Python's own"),
        ("true", {}, "would be True, Python's own; add a word, such as true-algorithm"),
        ("none", {"kind": "encoder"}, "would be None, Python's own"),
        ("settings", {}, "would be Settings, which its module or its test has already; add a word"),
        ("support", {}, "would be Support, which"),
        ("task-spec", {}, "would be TaskSpec, which"),
        ("input-spec", {"kind": "encoder"}, "would be InputSpec, which"),
        ("all", {}, "the name 'all' stands for every algorithm in a command; add a word"),
        ("tests", {"kind": "source"}, "is that of a folder beside the package's; add a word"),
        ("x", {"modality": "text"}, "--modality 'text' is for encoders only"),
        ("x", {"kind": "encoder", "modality": "txt"}, "unknown modality 'txt'; did you mean text"),
        ("x", {"licence": "GPL"}, "unknown licence 'GPL'; known: Apache-2.0, BSD-3-Clause, MIT"),
        ("x", {"kind": "metric"}, "unknown kind of plugin 'metric'"),
    ],
)
def test_misuse_is_told_and_nothing_is_written(tmp_path, name, options, message):
    options = dict(options)
    kind = options.pop("kind", "algorithm")
    with pytest.raises(UsageError) as caught:
        write_plugin(name, kind, tmp_path / "made", **options)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_source_has_no_class_that_could_collide(tmp_path):
    assert write_plugin("class-pool", "source", tmp_path / "made").files


@pytest.mark.parametrize("what", ["folder", "file", "dangling link"])
def test_what_exists_is_left_alone(tmp_path, what):
    target = tmp_path / "made"
    {"folder": target.mkdir, "file": target.touch}.get(what, lambda: target.symlink_to("no"))()
    with pytest.raises(UsageError, match="exists already and is left as it is; name another"):
        write_plugin("near-mean", "algorithm", target)
    assert files_below(tmp_path) <= {"made"}


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    layout = write._layout

    def broken(*arguments):
        return [*layout(*arguments), ("tests", "common/init.py")]  # a file where a folder is

    monkeypatch.setattr(write, "_layout", broken)
    with pytest.raises(MetabenchError, match=r"^cannot write .*made: Is a directory$"):
        write_plugin("near-mean", "algorithm", tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_no_folder_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file is no folder, so .*made cannot be made in it$"):
        write_plugin("near-mean", "algorithm", tmp_path / "file" / "made")
