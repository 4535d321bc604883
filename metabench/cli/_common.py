"""What the commands share: lazy groups, errors on one line, settings, the catalogue, output."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from metabench.errors import MetabenchError, UsageError, unknown_name

if TYPE_CHECKING:
    from rich.console import Console

    from metabench.registry.catalogue import Catalogue

F = TypeVar("F", bound=Callable[..., Any])

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

MAX_WORD = 44
MIN_COLUMN = 8
MIN_LAST_COLUMN = 10


class LazyGroup(click.Group):
    """A group that knows its commands' names and help without importing them.

    Args:
        *args: As for `click.Group`.
        lazy: For each command, where it is (``package.module:name``) and its one line of help.
        **kwargs: As for `click.Group`.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the table."""
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or name the nearest ones."""
        name = args[0]
        if not name.startswith("-") and name not in self.list_commands(ctx):
            raise unknown_name("command", name, self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Answer a call without arguments with the help."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands' help without importing them."""
        rows = [(name, text) for name, (_, text) in self.lazy.items()]
        for name in super().list_commands(ctx):
            command = super().get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, command.get_short_help_str(formatter.width)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class Main(LazyGroup):
    """The outermost group: errors that a user can mend end in one line, without a traceback."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - the signature is click's
        **extra: Any,
    ) -> Any:
        """Run a command; an integer that it returns is the exit code."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            result = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except UsageError as error:
            sys.exit(_fail(str(error), EXIT_USAGE))
        except MetabenchError as error:
            sys.exit(_fail(str(error), EXIT_FAILURE))
        except click.ClickException as error:
            sys.exit(_fail(_click_message(error), error.exit_code))
        except click.Abort as error:
            sys.exit(_fail(f"interrupted{circumstances(error.__cause__)}", EXIT_INTERRUPTED))
        sys.exit(result if isinstance(result, int) else 0)


def _fail(message: str, code: int) -> int:
    click.echo(f"metabench: error: {message}", err=True)
    return code


def circumstances(error: BaseException | None) -> str:
    """Return what is noted on an interruption, such as which plugin was being imported."""
    return "".join(f" {note}" for note in getattr(error, "__notes__", ()))


def _click_message(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{message}; see `{context.command_path} --help`" if context is not None else message


def listed(name: str, help_text: str) -> Callable[[F], F]:
    """Add an option whose value is a comma-separated list."""

    def split(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...]:
        parts = (part.strip() for part in (value or "").split(","))
        return tuple(part for part in parts if part)

    return click.option(name, callback=split, metavar="A,B", help=help_text)


def plugin_options(command: F) -> F:
    """Add ``-p no:NAME`` and ``--strict-plugins``.

    The command gets ``plugins`` and ``strict_plugins``, which go to `open_catalogue`.
    """
    strict = click.option(
        "--strict-plugins", is_flag=True, help="Fail if any plugin is broken or clashes."
    )
    off = click.option(
        "-p", "plugins", multiple=True, metavar="no:NAME", help="Turn a plugin off. Repeatable."
    )
    return off(strict(command))


def open_catalogue(
    plugins: Iterable[str] = (), *, strict_plugins: bool = False, quiet: bool = False
) -> Catalogue:
    """Load the plugins; what is left out is reported on stderr, one line each.

    Args:
        plugins: The values of ``-p``, such as ``no:vision``.
        strict_plugins: Whether a broken plugin is an error.
        quiet: Whether the caller reports the problems itself.

    Returns:
        What the plugins provide.

    Raises:
        UsageError: If a value is not of the form ``no:NAME``, or no plugin has that name.
    """
    from metabench.registry.discovery import load_plugins

    catalogue = load_plugins(disabled=disabled_plugins(plugins), strict=strict_plugins)
    for problem in () if quiet else catalogue.problems:
        click.echo(f"metabench: warning: {problem}", err=True)
    return catalogue


def disabled_plugins(values: Iterable[str]) -> tuple[str, ...]:
    """Return the names in the values of ``-p``.

    Args:
        values: Such as ``no:vision``.

    Returns:
        Such as ``vision``.

    Raises:
        UsageError: If a value is not of the form ``no:NAME``.
    """
    names = []
    for value in values:
        prefix, _, name = value.partition(":")
        if prefix != "no" or not name:
            raise UsageError(f"-p {value!r} is not of the form no:NAME, such as -p no:vision")
        names.append(name)
    return tuple(names)


def make_console(*, stderr: bool = False) -> Console:
    """Return a console that takes text literally; 80 columns wide where there is no terminal."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; words stay in one piece, and the last column takes the room that is left."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    cells = [[str(cell) for cell in row] for row in rows]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    console = make_console()
    widths = []
    for position, column in enumerate(columns[:-1]):
        words = (word for row in cells for word in (column, *row[position].split()))
        widths.append(min(max(map(len, words), default=1), MAX_WORD))
    while widths and sum(widths) + len(widths) + MIN_LAST_COLUMN > console.width:
        if max(widths) <= MIN_COLUMN:
            break
        widths[widths.index(max(widths))] -= 1
    for column, width in zip(columns, widths, strict=False):
        table.add_column(column, overflow="fold", min_width=width)
    table.add_column(columns[-1], overflow="fold", ratio=1, min_width=MIN_LAST_COLUMN)
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(plain(value), indent=2))


def plain(value: Any) -> Any:
    """Turn dataclasses, mappings and sequences into what JSON knows."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)
