"""Every block of code in the documentation and the READMEs does what the page says."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from docs_blocks import blocks_of, pages
from docs_commands import carry_out
from docs_pages import Page
from filelock import FileLock

SKIPPED = {
    "docs/explanation/below_nearest_neighbour.md": ["real data"],
    "docs/explanation/reproduction.md": ["hours on real data"],
    "README.md": ["reads your own files", "needs an exported learner"],
    "docs/howto/cluster.md": ["needs SLURM", "needs SLURM"],
    "docs/howto/gpu.md": ["needs a GPU"],
    "docs/howto/own_data.md": ["downloads"],
    "docs/howto/plugin_env.md": ["needs another environment", "needs another environment"],
    "docs/howto/real_data.md": ["downloads"],
    "docs/howto/sklearn.md": ["needs a module of your own"],
    "docs/howto/trackers.md": ["downloads", "starts a server", "needs a login"],
    "leaderboards/README.md": ["hours on real data", "needs the published records and real data"],
    "plugins/trackers/README.md": ["downloads"],
}
"""Blocks that are not carried out, by page: the reasons, in order."""

PARSED = {
    "README.md": ["three minutes", "hours on real data", "trains", "needs a finished run"],
    "docs/howto/add_algorithm.md": ["trains on five domains"],
    "docs/howto/audit.md": ["trains"],
    "docs/howto/cluster.md": ["hours on real data", "starts a scheduler"],
    "docs/howto/compare.md": ["minutes"],
    "docs/howto/gpu.md": ["minutes"],
    "docs/howto/own_data.md": ["a minute", "half a minute"],
    "docs/howto/real_data.md": ["hours on real data", "minutes"],
    "docs/index.md": ["three minutes"],
}
"""Blocks whose commands are only parsed and planned."""

SMALL = """\
name = "quick"
seeds = [0]
shots = [1, 5]

[protocol]
episodes = 8
budget = 100
val_episodes = 2
selections = 1
"""
"""The quick suite, as small as it can be: names, columns and words are the same."""

STORE = (
    "run", "--sources", "glyphs,digits", "--algorithms", "chance,protonet,maml,fomaml",
    "--encoders", "conv4",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A reader's folder: a home with an empty data directory, and no settings of ours."""
    for name in [name for name in os.environ if name.startswith("METABENCH_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "quick.toml").write_text(SMALL)
    for name, value in {
        "HOME": home, "METABENCH_SUITE": tmp_path / "quick.toml", "METABENCH_JOBS": 2,
        "COLUMNS": 120,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(work)
    monkeypatch.syspath_prepend(str(work))
    modules = set(sys.modules)
    before, path = dict(os.environ), list(sys.path)
    yield work
    sys.path[:] = path
    os.environ.clear()
    os.environ.update(before)
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None)
        if name == "block_of_a_page" or (file and Path(file).is_relative_to(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def make_store(tmp_path_factory):
    """Copy a small finished store, which the first who needs it makes for all workers."""

    def make(place):
        shared = tmp_path_factory.getbasetemp().parent / "store-of-the-documentation"
        with FileLock(f"{shared}.lock"):
            if not (shared / "run.json").exists():
                code, printed = carry_out([*STORE, "--store", str(shared)])
                assert code == 0, printed
        shutil.copytree(shared, place, ignore=shutil.ignore_patterns("cache"))

    return make


@pytest.mark.parametrize("page", pages())
def test_every_block_runs(page, folder, make_store):
    reader = Page(make_store)
    for block in blocks_of(page):
        reader(block)


@pytest.mark.parametrize(("mark", "known"), [("skip", SKIPPED), ("parse", PARSED)])
def test_what_does_not_run_is_listed(mark, known):
    found = {}
    for page in pages():
        if reasons := [b.marks[mark] for b in blocks_of(page) if mark in b.marks]:
            found[page] = reasons
    assert found == known
