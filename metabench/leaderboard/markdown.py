"""Tables as Markdown (GitHub's dialect), with every text from a record shown as it is."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from metabench.atomic import write_text
from metabench.leaderboard.csvfile import Value, cell_text
from metabench.leaderboard.printed import (
    TIED,
    TRANSDUCTIVE,
    blocks_of,
    facts_of,
    legend_of,
    metric_text,
    overall_header,
    rank_text,
    ranked,
    score_text,
    short_text,
    unanswered,
)
from metabench.leaderboard.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from metabench.leaderboard.build import Written
    from metabench.leaderboard.overall import OverallRow
    from metabench.leaderboard.row import Row

# A browser or a link finder acts on these even where Markdown does not.
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "@": "&#64;"}
_SPECIAL = re.compile(r"[\\`*_{}\[\]#!|~$^]|(?<=:)/|(?<=\bwww)\.", re.IGNORECASE)


def write_markdown(written: Written, out: Path) -> list[Path]:
    """Write ``<domain>.md`` for every domain, and ``overall.md``.

    Args:
        written: The tables.
        out: The folder.

    Returns:
        The files.

    Raises:
        MetabenchError: If a file cannot be written.
    """
    texts = {
        domain: domain_markdown(domain, written.tables.of_domain(domain))
        for domain in written.domains
    }
    texts["overall"] = overall_markdown(written.overall_rows)
    paths = [out / f"{name}.md" for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, text)
    return paths


def domain_markdown(domain: str, rows: Sequence[Row]) -> str:
    """Return one domain's tables, one per block."""
    parts = [f"# {markdown_text(domain)}"]
    blocks = blocks_of(rows)
    for block in blocks:
        row = block[0]
        facts = " · ".join(map(markdown_text, facts_of(block, blocks)))
        parts.append(f"## {markdown_text(row.source)}: {markdown_text(row.protocol)}\n\n{facts}")
        if any(row.mean is not None for row in block):
            header = ("rank", "algorithm", "encoder", metric_text(row), "train s", "adapt ms")
            parts.append(_table(header, map(_cells, *zip(*ranked(block), strict=True))))
        rest = [
            f"- {status}: {markdown_text(who)}" + (f": {markdown_text(why)}" if why else "")
            for status, who, why in unanswered(block)
        ]
        if rest:
            parts.append("Without a number:\n\n" + "\n".join(rest))
    parts.append("\n".join(f"- {line}" for line in legend_of(rows)))
    return "\n\n".join(parts) + "\n"


def overall_markdown(rows: Sequence[OverallRow]) -> str:
    """Return the table over all domains, the best of each encoder policy in bold."""
    values = [row.values() for row in rows]
    if not values:
        return "# overall\n\nNo row.\n"
    header = overall_header(values[0])
    lines = (
        [_emphasised(_cell(name, row[name]), bold=row["rank"] == 1) for name in header]
        for row in values
    )
    return f"# overall\n\n{_table(header, lines)}\n"


@lru_cache(maxsize=100_000)
def markdown_text(text: str) -> str:
    """Return text that Markdown shows as it is: no mark-up, no HTML, no link, no mention."""
    text = "".join(_ENTITIES.get(c, c) for c in one_line(text))
    return _SPECIAL.sub(
        lambda found: "&#35;" if found[0] == "#" else f"\\{found[0]}",
        text.replace("&#64;", "\0"),
    ).replace("\0", "&#64;")


def _cells(row: Row, mark: str) -> list[str]:
    name = markdown_text(row.algorithm) + ("" if row.inductive else f" {TRANSDUCTIVE}")
    score = score_text(row) + (f" {TIED}" if mark == "tied" else "")
    cells = [
        rank_text(row),
        name,
        "" if row.encoder == "none" else markdown_text(row.encoder),
        score,
        short_text(row.train_seconds),
        short_text(row.adapt_ms_per_task),
    ]
    return [_emphasised(cell, bold=mark == "best") for cell in cells]


def _cell(name: str, value: Value) -> str:
    # What guards a cell of a spreadsheet is no part of the text.
    return markdown_text(value) if isinstance(value, str) else cell_text(value, name)


def _emphasised(cell: str, *, bold: bool) -> str:
    # HTML's bold holds whatever the text begins and ends with; Markdown's stars do not.
    return f"<b>{cell}</b>" if bold and cell else cell


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_line(map(markdown_text, header)), _line("---" for _ in header)]
    return "\n".join([*lines, *map(_line, rows)])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
