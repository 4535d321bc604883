"""The command line's reference, from the click commands: usage, arguments, options, exit."""

from __future__ import annotations

import html
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import click
from catalogue_tables import rows_to_table

from metabench.cli import main

NAME = "metabench"


def section(path: Sequence[str]) -> str:
    """Describe one command and all below it.

    Args:
        path: Such as ``["leaderboard", "push"]``; empty for ``metabench`` itself.

    Raises:
        ValueError: If there is no such command.
    """
    context = click.Context(main, info_name=NAME)
    command: click.Command = main
    for name in path:
        found = command.get_command(context, name) if isinstance(command, click.Group) else None
        if found is None:
            raise ValueError(f"there is no command {' '.join(path)!r}")
        command, context = found, click.Context(found, info_name=name, parent=context)
    return "\n\n".join(_describe(command, context, level=2))


def _describe(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    yield f"{'#' * level} {context.command_path}"
    yield _prose(command.help or "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _describe(
                below, click.Context(below, info_name=name, parent=context), level + 1
            )
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{context.command_path} {usage}\n```"
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    if options:
        yield rows_to_table(("option", "default", "what it does"), map(_row, options))


def _prose(text: str) -> str:
    """Join click's help into paragraphs, its examples and names kept as they are."""
    paragraphs = inspect.cleandoc(text).replace("\b", "").split("\n\n")
    return "\n\n".join(" ".join(each.split()) for each in paragraphs)


def _row(option: click.Option) -> tuple[str, ...]:
    names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=len))
    value = _value(option)
    return (
        f"{names} {value}".strip(),
        _default(option),
        html.escape(_prose(option.help or ""), quote=False),
    )


def _value(option: click.Option) -> str:
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return " or ".join(f"`{choice}`" for choice in option.type.choices)
    return f"`{option.metavar or option.type.name.upper()}`"


def _default(option: click.Option) -> str:
    default: Any = option.default
    if option.is_flag or option.multiple or not isinstance(default, str | int | float):
        return ""
    return f"`{default}`" if default not in ("", 0.0) or option.show_default else ""
