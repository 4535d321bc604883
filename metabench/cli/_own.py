"""The flags by which a user names own data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from metabench.cli._common import listed
from metabench.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

_PATH = click.Path(path_type=Path)
OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--data-folder", type=_PATH, help="Own data: a folder (or .zip) with a folder per class."
    ),
    click.option(
        "--data-table", type=_PATH, help="Own data: a table, .csv, .tsv, .parquet or .jsonl."
    ),
    click.option(
        "--hf-dataset", default="", metavar="NAME",
        help="Own data: a Hugging Face data set, NAME[@REVISION], or a folder of one.",
    ),
    click.option("--text", default="", metavar="COLUMN", help="The column of texts."),
    click.option("--smiles", default="", metavar="COLUMN", help="The column of SMILES."),
    click.option("--file", default="", metavar="COLUMN", help="The column of paths of files."),
    click.option(
        "--column", default="", metavar="ROLE=COLUMN", help="The column of a plugin's own role."
    ),
    click.option("--label", default="", metavar="COLUMN", help="The column of classes."),
    listed("--targets", "Columns of 0/1 or numbers, a task each."),
    click.option(
        "--group", default="", metavar="COLUMN",
        help="The column of what must not be on both sides of an episode (speaker).",
    ),
    click.option(
        "--split-column", default="", metavar="COLUMN",
        help="The column that puts each class into train, val or test.",
    ),
    click.option(
        "--split-file", type=_PATH, help="Lines class,split, or JSON; by default by class name."
    ),
    click.option(
        "--similar-labels", type=click.Choice(["ask", "keep", "merge"]), default="ask",
        show_default=True, help="Labels that differ only in case or space.",
    ),
    click.option(
        "--encoding", default="utf-8", show_default=True, help="Of tables and text files."
    ),
    click.option(
        "--modality", default="", help="The kind of file to read, where a folder holds several."
    ),
    click.option(
        "--max-items", type=int, default=50_000, show_default=True,
        help="Examples of own data that are kept; 0 keeps all.",
    ),
    click.option(
        "--reader-options", multiple=True, metavar="NAME=VALUE",
        help="A setting of the reader, such as size=224. Repeatable.",
    ),
)  # fmt: skip


def own_options(command: F) -> F:
    """Add the flags that name own data."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def settings_of(values: Iterable[str]) -> dict[str, int | float | str]:
    """Read the settings of a reader.

    Args:
        values: Such as ``size=224``.

    Raises:
        UsageError: If one is not of the form ``NAME=VALUE``.
    """
    settings: dict[str, int | float | str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not (name and equals and text):
            raise UsageError(f"--reader-options {value!r} is not NAME=VALUE, such as size=224")
        settings[name] = _number(text)
    return settings


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
