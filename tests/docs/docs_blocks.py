"""The blocks of a Markdown page that readers copy, with what comments before them say."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
LANGUAGES = frozenset({"python", "bash", "console", "toml", "yaml", "json", "text", "html"})
MARK = re.compile(r"<!-- (skip|parse|store|exit): (.+?) -->")
HIDDEN = re.compile(r"<!-- test\n(.*?)\n?-->", re.DOTALL)


def pages():
    """Every page of the documentation, and the READMEs."""
    readmes = ("README.md", "plugins/*/README.md", "leaderboards/README.md", "downstream/README.md")
    found = [*(ROOT / "docs").rglob("*.md")]
    found += [path for name in readmes for path in ROOT.glob(name)]
    return [path.relative_to(ROOT).as_posix() for path in sorted(found)]


@dataclass(frozen=True)
class Block:
    """A fenced block, or the hidden code of a comment.

    Attributes:
        page: The page, below the repository.
        line: Its first line there.
        language: As the fence says; ``python`` for hidden code.
        title: The file that it is, if it says so.
        text: What stands in it.
        marks: What comments before it say, such as the reason of ``skip`` and ``parse``.
    """

    page: str
    line: int
    language: str
    title: str
    text: str
    marks: dict = field(default_factory=dict)

    @property
    def place(self):
        """Where it stands, for messages."""
        return f"{self.page}:{self.line}"


def blocks_of(page):
    """Read a page's blocks in order.

    Raises:
        AssertionError: If a block is indented, so that nobody knows what it is, or has no language.
    """
    marks = {}
    for token in MarkdownIt("commonmark").parse((ROOT / page).read_text("utf-8")):
        line = (token.map or [0])[0] + 1
        if token.type == "html_block":
            marks |= dict(MARK.findall(token.content))
            if hidden := HIDDEN.search(token.content):
                yield Block(page, line + 1, "python", "", hidden[1])
        elif token.type == "fence":
            language, _, rest = token.info.strip().partition(" ")
            title = re.search(r'title="([^"]+)"', rest)
            assert language in LANGUAGES, (
                f"{page}:{line}: a block of {language or 'no language'}; use {sorted(LANGUAGES)}"
            )
            yield Block(page, line, language, title[1] if title else "", token.content, marks)
            marks = {}
        else:
            assert token.type != "code_block", f"{page}:{line}: fence the block and say what it is"


@dataclass(frozen=True)
class Step:
    """One command, and what a console prints after it."""

    line: int
    command: str
    printed: str = ""


def steps_of(block):
    """Split a ``bash`` or ``console`` block into its commands."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "bash":
        return [Step(block.line, line) for line in lines if line.strip()]
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    assert starts[:1] == [0], f"{block.place}: a console begins with '$ ' and a command"
    return [
        Step(block.line + start + 1, lines[start][2:], "\n".join(lines[start + 1 : end]))
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]


def words(text):
    """Return the words of what is printed, without numbers, rules and ellipses."""
    return {
        word for word in text.split() if not re.search(r"\d", word) and re.search(r"[^\W_]", word)
    }
