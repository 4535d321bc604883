"""Tables for readers: whatever a name holds shows as text in CSV, Markdown and LaTeX."""

import csv
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from metabench.leaderboard.csvfile import FORMULA_STARTS, cell_text
from metabench.leaderboard.latex import domain_latex, latex_text
from metabench.leaderboard.markdown import domain_markdown, markdown_text
from metabench.leaderboard.prepared import prepare
from metabench.leaderboard.publish import publish
from metabench.leaderboard.tables import build_tables
from metabench.leaderboard.text import one_line

HOSTILE = [
    "<script>alert(1)</script>",
    "=cmd|'/C calc'!A0",
    "+1+1",
    "-2",
    "@SUM(A1)",
    "a|b",
    "back\\slash \\\\ \\input{/etc/passwd}",
    "100% of $x_1^2$ & #3 ~{}",
    "'single' \"double\" `tick`",
    "\u202eevil\u200f\u2066",
    "[link](javascript:alert(1)) ![i](x)",
    "**bold** _it_ ~~del~~ <b>",
    "https://example.org www.example.org someone@example.org",
    "&lt;script&gt; &amp;",
    "line\nbreak\rand\ttab",
    "[red]x[/red]",
    "*]{\\",
    "--dash---ed",
]
GITHUB = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable(
    ["table", "strikethrough"]
)


def shown(markdown):
    """What a reader of a table's cells sees, and which mark-up is left in them."""
    texts, marks = [], []
    for token in GITHUB.parse(markdown):
        if token.type == "inline":
            text = ""
            for child in token.children:
                text += child.content if child.type in {"text", "text_special"} else ""
                if child.type not in {"text", "text_special"}:
                    marks.append(child.content or child.type)
            texts.append(text)
        elif token.type in {"html_block", "fence", "code_block"}:
            marks.append(token.content)
    return texts, marks


def in_table(text):
    return f"| a | b |\n| --- | --- |\n| x | {text} |\n"


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_shows_a_name_as_it_is(name):
    texts, marks = shown(in_table(markdown_text(name)))
    assert texts == ["a", "b", "x", one_line(name)]
    assert marks == []


@given(st.text(alphabet=st.sampled_from(string.printable + "é†≈\u202e\u0000"), max_size=30))
def test_markdown_shows_any_text_as_it_is(text):
    texts, marks = shown(in_table("x" + markdown_text(text)))
    assert texts[3] == "x" + one_line(text)
    assert marks == []


def printed_by_latex(text):
    """Read LaTeX as far as `latex_text` writes it; anything else is an error."""
    names = {
        "textbackslash": "\\", "textasciicircum": "^", "textasciitilde": "~", "textless": "<",
        "textgreater": ">", "textbar": "|", "ldots": "…",
    }  # fmt: skip
    out, rest = "", text
    while rest:
        if found := re.match(r"\\([a-z]+)\{\}", rest):
            out += names[found[1]]
        elif found := re.match(r"\\([{}$&#%_])|\{([\[\]*\"'`])\}", rest):
            out += found[1] or found[2]
        elif found := re.match(r"-\{\}", rest):
            out += "-"
        else:
            found = re.match(r"[^\\{}$&#%_~^<>|\"\[\]*'`]", rest)
            assert found, rest
            out += found[0]
        rest = rest[found.end() :]
    return out


@given(st.text(alphabet=st.sampled_from(string.printable + "é\u202e\u0000"), max_size=30))
def test_latex_prints_any_text_as_it_is(text):
    assert printed_by_latex(latex_text(text)) == one_line(text)
    assert "--" not in latex_text(text)


@pytest.mark.parametrize("name", HOSTILE)
def test_latex_prints_a_name_as_it_is(name):
    assert printed_by_latex(latex_text(name)) == one_line(name)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_cell_of_a_csv_starts_a_formula(name):
    assert cell_text(name)[:1] not in FORMULA_STARTS


def test_a_malicious_plugin_in_every_file(make, rng, tmp_path):
    scored = [
        make(rng.uniform(size=20), algorithm=name, plugin=name, encoder=name) for name in HOSTILE
    ]
    scored.append(make(status="failed", reason=HOSTILE[0] + "\n# x | y", algorithm=HOSTILE[0]))
    _, paths = publish(prepare(scored), tmp_path)
    assert {path.suffix for path in paths} == {".csv", ".md", ".tex", ".json"}
    for path in paths:
        text = path.read_text("utf-8")
        assert "\u202e" not in text
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                cells = [cell for line in csv.reader(file, strict=True) for cell in line]
            assert not [c for c in cells if c[:1] in set("=+@\t\r") or c.startswith("-2")]
        elif path.suffix == ".md":
            texts, marks = shown(text)
            assert set(marks) <= {"<b>", "</b>", "softbreak"}
            cells = {part for one in texts for part in (one, one.removesuffix(" †"))}
            assert {one_line(name) for name in HOSTILE} <= cells
        elif path.suffix == ".tex":
            assert "<script>" not in text
            body = [line for line in text.splitlines() if line.endswith(r" \\")]
            ends = {len(re.findall(r"(?<!\\)&", line)) for line in body}
            assert len(ends) == 1
            plain = re.sub(r"\\[{}]", "", text)
            assert plain.count("{") == plain.count("}")


@pytest.fixture
def rows(make, rng):
    luck = rng.normal(0, 0.02, 60)
    levels = {"best": 0.8, "twin": 0.8, "far": 0.4}
    scored = [
        make(level + luck + rng.normal(0, 0.05, 60), algorithm=name, inductive=name != "twin")
        for name, level in levels.items()
    ]
    scored += [
        make(status="failed", algorithm="x"),
        make(status="inapplicable", reason="y does other tasks", algorithm="y"),
    ]
    return build_tables(scored).rows


def test_the_best_is_bold_and_ties_are_marked(rows):
    text = domain_markdown("vision", rows)
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert sum("<b>" in line for line in table) == 1
    assert "<b>" in table[2]
    assert "≈" in table[3]
    assert "≈" not in table[4]
    assert "twin †" in text
    assert "- failed: x (conv4): it broke" in text
    assert "- inapplicable: y: does other tasks" in text
    latex = domain_latex("vision", rows)
    lines = [line for line in latex.splitlines() if line.endswith(r" \\")]
    assert r"\textbf{" in lines[1]
    assert not any(r"\textbf{" in line for line in lines[2:])
    assert r"$\approx$" in lines[2]
    assert r"$\approx$" not in lines[3]
    for part in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}{rllr}"):
        assert part in latex
    assert "x (conv4) (failed); 1 inapplicable" in latex
    assert "5 \\%" in latex


def test_equal_means_are_both_best(make):
    rows = build_tables([make([0.5, 0.6], algorithm=name) for name in "ab"]).rows
    assert domain_markdown("vision", rows).count("<b>55.00") == 2


def test_nothing_ran(tmp_path):
    _, paths = publish(prepare([]), tmp_path)
    assert sorted(path.name for path in paths) == [
        "manifest.json", "overall.csv", "overall.md", "overall.tex",
    ]  # fmt: skip
