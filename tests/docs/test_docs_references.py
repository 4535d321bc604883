"""What the documentation names is there: files, tests, pages of its own, columns."""

import re

import pytest
import yaml
from docs_blocks import ROOT, pages

from metabench import hookspecs
from metabench.cli import COMMANDS
from metabench.leaderboard.overall import COLUMNS as OVERALL_COLUMNS
from metabench.leaderboard.row import COLUMNS

FOLDERS = r"(?:tests|docs|benchmarks|examples|metabench|plugins|\.ci)"
NAMED = re.compile(rf"`({FOLDERS}/[\w./-]*)((?:::\w+)?)`((?:, `::\w+`)*)")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", pages())
def test_files_and_tests_that_are_named_exist(page):
    for path, first, others in NAMED.findall((ROOT / page).read_text("utf-8")):
        assert (ROOT / path).exists(), path
        for name in re.findall(r"::(\w+)", first + others):
            assert f"def {name}(" in (ROOT / path).read_text("utf-8"), f"{path}::{name}"


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page):
    """MkDocs checks those between its own pages; this also holds for readers of the repository."""
    text = re.sub(r"```.*?```|`[^`\n]+`", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
    for target in LINK.findall(text):
        assert ((ROOT / page).parent / target).exists(), target


def test_every_page_is_in_the_navigation():
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))

    def leaves(node):
        if isinstance(node, str):
            yield node
        for below in node.values() if isinstance(node, dict) else node:
            if not isinstance(node, str):
                yield from leaves(below)

    listed = list(leaves(settings["nav"]))
    assert len(listed) == len(set(listed))
    assert {f"docs/{page}" for page in listed} == {p for p in pages() if p.startswith("docs/")}


def test_columns_that_the_statistics_explain_exist():
    text = (ROOT / "docs/explanation/statistics.md").read_text("utf-8")
    first = re.findall(r"^\| ((?:`[\w*]+`(?:, )?)+) \|", text, re.MULTILINE)
    named = {name for cell in first for name in re.findall(r"`([\w*]+)`", cell)}
    known = {*COLUMNS, *OVERALL_COLUMNS, "ci95_*"}
    assert named
    assert named <= known


def test_every_command_and_every_hook_has_its_place():
    commands = (ROOT / "docs/reference/cli.md").read_text("utf-8")
    assert set(re.findall(r"<!-- include: cli (\S+) -->", commands)) == set(COMMANDS)
    page = (ROOT / "docs/reference/python/hooks.md").read_text("utf-8")
    hooks = {name for name in vars(hookspecs) if name.startswith("metabench_")}
    offered = hooks | set(hookspecs.__all__) - {"TaskKind", "hookimpl", "hookspec"}
    assert set(re.findall(r"^ {8}- (\w+)$", page, re.MULTILINE)) == offered
    table = (ROOT / "docs/howto/plugins.md").read_text("utf-8")
    assert hooks <= set(re.findall(r"`(metabench_\w+)`", table))


def test_configuration_names_every_variable():
    text = (ROOT / "docs/reference/configuration.md").read_text("utf-8")
    folders = [ROOT / "metabench", *ROOT.glob("plugins/*/metabench_*")]
    sources = [path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py")]
    quoted = re.compile(r'"(METABENCH_[A-Z_]+[A-Z])"')
    read = {name for source in sources for name in quoted.findall(source)}
    assert read
    assert {name for name in read if f"`{name}`" not in text} == set()
