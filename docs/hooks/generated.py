"""MkDocs hook: what a page includes is made from the code when the site is built.

A page asks for it by a comment on a line of its own, which other viewers do not show::

    <!-- include: cli run -->             one command, from the click command itself
    <!-- include: sources -->             all that first-party plugins provide of a kind
    <!-- include: plugin vision -->       the README of a first-party plugin
    <!-- include: readme How it compares -->    a section of the project's README
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from catalogue_tables import KINDS, table
from command_pages import section

ROOT = Path(__file__).parents[2]
INCLUDE = re.compile(r"^<!-- include: (\S+)(?: (.+))? -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in what a page includes; MkDocs calls this for every page."""
    return INCLUDE.sub(lambda match: included(match[1], match[2] or ""), markdown)


def included(kind: str, name: str) -> str:
    """Return the Markdown of one include.

    Args:
        kind: ``cli``, ``plugin``, ``readme``, or a kind that `metabench list` knows.
        name: A command, a plugin, a heading, or nothing.

    Raises:
        ValueError: If there is no such kind.
    """
    if kind == "cli":
        return section(name.split())
    if kind == "plugin":
        return plugin_readme(name)
    if kind == "readme":
        return readme_section(name)
    if kind in KINDS:
        return table(kind)
    raise ValueError(f"<!-- include: {kind} -->: known: cli, plugin, readme, {', '.join(KINDS)}")


def plugin_readme(plugin: str) -> str:
    """Return a plugin's README with its headings one level down."""
    text = (ROOT / "plugins" / plugin / "README.md").read_text("utf-8")
    return re.sub(r"^#", "##", text, flags=re.MULTILINE)


def readme_section(heading: str) -> str:
    """Return what stands below a heading of the project's README.

    Raises:
        ValueError: If there is no such heading.
    """
    text = (ROOT / "README.md").read_text("utf-8")
    found = re.search(
        rf"^## {re.escape(heading)}\n(.+?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    if found is None:
        raise ValueError(f"README.md has no heading {heading!r}")
    return found[1].strip()
