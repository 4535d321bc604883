r"""Tables as LaTeX, for ``\input`` in a paper that loads booktabs."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from metabench.atomic import write_text
from metabench.leaderboard.csvfile import cell_text
from metabench.leaderboard.printed import (
    RANGE,
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
    unanswered,
)
from metabench.leaderboard.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from metabench.leaderboard.build import Written
    from metabench.leaderboard.csvfile import Value
    from metabench.leaderboard.overall import OverallRow
    from metabench.leaderboard.row import Row

_APART = "\0"
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # In braces: the argument of a line's end, babel's shorthands, quotes that join.
    **{c: f"{{{c}}}" for c in "[]*\"'`"},
    **{c: f"\\{c}" for c in "{}$&#%_"},
    "±": r"$\pm$",
    "…": r"\ldots{}",
    RANGE: "--",
    _APART: "{}",
    "·": r"$\cdot$",
    TIED: r"$\approx$",
    TRANSDUCTIVE: r"$^{\dagger}$",
}
_HEAD = "% Made by `metabench leaderboard build`; needs \\usepackage{booktabs}.\n"


def write_latex(written: Written, out: Path) -> list[Path]:
    """Write ``<domain>.tex`` for every domain, and ``overall.tex``.

    Args:
        written: The tables.
        out: The folder.

    Returns:
        The files.

    Raises:
        MetabenchError: If a file cannot be written.
    """
    texts = {
        domain: domain_latex(domain, written.tables.of_domain(domain)) for domain in written.domains
    }
    texts["overall"] = overall_latex(written.overall_rows)
    paths = [out / f"{name}.tex" for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, _HEAD + text)
    return paths


def domain_latex(domain: str, rows: Sequence[Row]) -> str:
    """Return one domain's tables, one per block that has a number."""
    tables = []
    blocks, legend = blocks_of(rows), legend_of(rows)
    for number, block in enumerate(blocks, 1):
        row = block[0]
        if row.mean is None:
            continue
        facts = ", ".join([f"{row.source} ({row.protocol})", *facts_of(block, blocks)])
        caption = [facts + ".", *legend]
        if any(other.mean is None for other in block):
            caption.append(f"Without a number: {_missing(block)}.")
        tables.append(
            _table(
                ("rank", "algorithm", "encoder", metric_text(row)),
                map(_cells, *zip(*ranked(block), strict=True)),
                columns="rllr",
                caption=" ".join(map(latex_text, caption)),
                label=f"tab:{domain}-{number}",
            )
        )
    return "\n".join(tables)


def overall_latex(rows: Sequence[OverallRow]) -> str:
    """Return the table over all domains, the best of each encoder policy in bold."""
    values = [row.values() for row in rows]
    if not values:
        return ""
    header = overall_header(values[0])
    lines = (
        [_emphasised(_cell(name, row[name]), bold=row["rank"] == 1) for name in header]
        for row in values
    )
    columns = "".join("l" if name in {"encoder_policy", "algorithm"} else "r" for name in header)
    caption = "All domains; the best of each encoder policy in bold."
    return _table(header, lines, columns=columns, caption=caption, label="tab:overall")


@lru_cache(maxsize=100_000)
def latex_text(text: str) -> str:
    """Return text that LaTeX prints as it is: no command, no mathematics, no comment."""
    return "".join(_ESCAPES.get(c, c) for c in one_line(text).replace("--", f"-{_APART}-"))


def _missing(block: Iterable[Row]) -> str:
    """Name the rows without a number; those that make no sense are only counted."""
    missing = [row for row in block if row.mean is None]
    named = [row for row in missing if row.status != "inapplicable"]
    shown = [f"{who} ({status})" for status, who, _ in unanswered(named)]
    counted = len(missing) - len(named)
    return "; ".join(shown + [f"{counted} inapplicable"] * bool(counted))


def _cells(row: Row, mark: str) -> list[str]:
    cells = [
        rank_text(row),
        row.algorithm,
        "" if row.encoder == "none" else row.encoder,
        score_text(row) + (TIED if mark == "tied" else ""),
    ]
    shown = [_emphasised(latex_text(cell), bold=mark == "best") for cell in cells]
    shown[1] += "" if row.inductive else latex_text(TRANSDUCTIVE)
    return shown


def _cell(name: str, value: Value) -> str:
    return latex_text(value if isinstance(value, str) else cell_text(value, name))


def _emphasised(cell: str, *, bold: bool) -> str:
    return rf"\textbf{{{cell}}}" if bold and cell else cell


def _table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    columns: str,
    caption: str,
    label: str,
) -> str:
    head = " & ".join(map(latex_text, header))
    body = "\n".join(" & ".join(cells) + r" \\" for cells in rows)
    return rf"""\begin{{table}}
\centering
\caption{{{caption}}}
\label{{{label}}}
\begin{{tabular}}{{{columns}}}
\toprule
{head} \\
\midrule
{body}
\bottomrule
\end{{tabular}}
\end{{table}}
"""
