"""Text from records, made fit for one cell of a table: one line, nothing invisible."""

from __future__ import annotations

import unicodedata

REASON_LENGTH = 300
"""Longest reason in a table; the record holds the whole text."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cs"})
"""Control characters, format characters (right-to-left marks among them), lone surrogates."""


def one_line(text: str, limit: int | None = None) -> str:
    """Collapse white space, drop control and other invisible characters, and shorten.

    Args:
        text: Any text, such as an exception's message.
        limit: Most characters to keep, the mark of omission included.

    Returns:
        Printable text without a line break.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(
            " " if c.isspace() else c
            for c in text
            if c.isspace() or unicodedata.category(c) not in _INVISIBLE
        )
    line = " ".join(text.split())
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"
