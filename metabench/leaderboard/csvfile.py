"""CSV that is safe to open in a spreadsheet and is written whole or not at all."""

from __future__ import annotations

import csv
import io
import math
from functools import lru_cache
from typing import TYPE_CHECKING

from metabench.atomic import write_text
from metabench.errors import MetabenchError
from metabench.leaderboard.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

Value = str | float | int | bool | None

FORMULA_STARTS = frozenset("=+-@\t\r＝＋－＠")  # noqa: RUF001 - full-width forms are meant
"""What a spreadsheet takes for the beginning of a formula."""

DECIMALS = {
    "train_seconds": 3,
    "adapt_ms_per_task": 3,
    "peak_memory_mb": 1,
    "mean_rank": 3,
    "mean_rank_low": 3,
    "mean_rank_high": 3,
    "win_rate": 4,
    "coverage": 4,
}
"""Digits after the point; six for every other number that is not whole."""


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Value]]) -> None:
    """Write a table atomically.

    Args:
        path: The file.
        columns: The header, in order.
        rows: Values by column; ``None`` and NaN become empty cells.

    Raises:
        MetabenchError: If the file cannot be written; an earlier one is then untouched.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([cell_text(column) for column in columns])
    writer.writerows([cell_text(row[name], name) for name in columns] for row in rows)
    write_text(path, buffer.getvalue())


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a table as text, without the marks that keep text from being a formula.

    Args:
        path: A file written by `write_csv`.

    Returns:
        One mapping per row, from column to text.

    Raises:
        MetabenchError: If the file cannot be read or a line has too few or too many cells.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, strict=True)
            header = next(lines, None)
            if not header:
                raise MetabenchError(
                    f"{path} is empty; build it with `metabench leaderboard build`"
                )
            rows = []
            for cells in lines:
                if len(cells) != len(header):
                    raise MetabenchError(
                        f"{path}, line {lines.line_num}: {len(cells)} cells under "
                        f"{len(header)} columns; the file was cut or edited, build it again"
                    )
                rows.append(dict(zip(header, map(_unguarded, cells), strict=True)))
            return rows
    except OSError as error:
        raise MetabenchError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise MetabenchError(f"{path} is not UTF-8: byte {error.start} cannot be read") from error
    except csv.Error as error:
        raise MetabenchError(f"{path} is not a CSV table: {error}") from error


def cell_text(value: Value, column: str = "") -> str:
    """Format one value: fixed digits for numbers, one guarded line for text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return str(value)
    return _fixed(value, DECIMALS.get(column, 6))


@lru_cache(maxsize=100_000)
def _text(text: str) -> str:
    """Return one guarded line; the same names and digests stand in every row."""
    return _guarded(one_line(text))


def _fixed(value: float, decimals: int) -> str:
    if not math.isfinite(value):
        return ""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def _guarded(text: str) -> str:
    # Text that already looks guarded is guarded once more, so that reading is the exact inverse.
    return f"'{text}" if _starts_formula(text.lstrip("'")) else text


def _unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and _starts_formula(text.lstrip("'")) else text


def _starts_formula(text: str) -> bool:
    return text[:1] in FORMULA_STARTS
