"""Where an option's value comes from: command line > environment > metabench.toml > default."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from metabench.errors import UsageError, unknown_name

FILE = "metabench.toml"
SECTION = "run"
ALGORITHMS = "algorithms"
PREFIX = "METABENCH_"
WITHOUT_FLAG = frozenset({"METABENCH_PLUGINS", "METABENCH_DISABLE_PLUGINS"})
"""Variables that every command heeds."""
ALIKE = 0.75
"""How like a variable's name without the prefix is to a flag's to be taken for a slip."""
SHARED = frozenset({"data", "store", "leaderboards", "p"})
"""Keys of the section that commands other than ``run`` read too."""


class ConfiguredCommand(click.Command):
    """A command whose flags are also read from the environment and from ``metabench.toml``.

    ``--some-flag`` is read from ``METABENCH_SOME_FLAG`` and from the key ``some-flag`` in the table
    ``[run]`` of ``metabench.toml`` in the current folder. A list in the file is the same as a
    comma-separated value.

    Args:
        *args: As for `click.Command`.
        owns_section: Whether the keys of the table are this command's flags, so that any other key
            is an error. Commands that do not own it read the keys in ``SHARED`` alone.
        **kwargs: As for `click.Command`.
    """

    def __init__(self, *args: Any, owns_section: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owns_section = owns_section
        self.options = {_flag(p): p for p in self.params if isinstance(p, click.Option)}
        for flag, option in self.options.items():
            if option.envvar is None and len(flag) > 1:
                option.envvar = PREFIX + flag.replace("-", "_").upper()

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse the arguments, with the file's values as defaults."""
        extra.setdefault("default_map", self._from_file(Path(FILE)))
        if self.owns_section and not extra.get("resilient_parsing"):  # nor at each press of Tab
            for variable, meant in self._slips(parent):
                click.echo(
                    f"metabench: warning: {variable} is set, and metabench does not read it; "
                    f"did you mean {meant}?",
                    err=True,
                )
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.BadParameter as error:
            if origin := _origin(error):
                raise click.BadParameter(
                    f"{error.message} ({origin})", ctx=error.ctx, param=error.param
                ) from error
            raise

    def _slips(self, parent: click.Context | None) -> Iterator[tuple[str, str]]:
        """Yield the variables that are nearly one of this command's, and that one."""
        variables = {str(option.envvar) for option in self.options.values() if option.envvar}
        own = {name.removeprefix(PREFIX) for name in variables | WITHOUT_FLAG}
        for variable in sorted(os.environ):
            name = variable.removeprefix(PREFIX)
            if variable == name or name in own:
                continue
            near = difflib.get_close_matches(name, own, 1, ALIKE)
            if near and (parent is None or variable not in _variables(parent.command)):
                yield variable, PREFIX + near[0]

    def _from_file(self, path: Path) -> dict[str, Any]:
        section = read_file(path)[SECTION]
        values = {}
        for key, value in section.items():
            option = self.options.get(key)
            if option is None and self.owns_section:
                error = unknown_name(f"key in [{SECTION}] of {path.absolute()}", key, self.options)
                raise UsageError(str(error))
            if option is not None and (self.owns_section or key in SHARED):
                assert option.name is not None
                values[option.name] = _option_value(value, key, path, multiple=option.multiple)
        return values


def _variables(command: click.Command) -> set[str]:
    """Return every variable that a command, or one below it, is read from."""
    found = {str(p.envvar) for p in command.params if p.envvar}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            found |= _variables(below) if below is not None else set()
    return found


def read_algorithms(path: Path) -> dict[str, dict[str, Any]]:
    """Read the user's own algorithms: a name, and another algorithm with other settings.

    ::

        [algorithms]
        extra-trees = "sklearn:ensemble.ExtraTreesClassifier"
        big-forest = { algorithm = "random-forest", trees = 500 }

    Args:
        path: The file, which may be absent.

    Returns:
        A table for each, as a suite's ``[variants.NAME]`` has it.

    Raises:
        UsageError: If the file is not valid.
    """
    found = {}
    for name, value in read_file(path)[ALGORITHMS].items():
        if isinstance(value, str):
            found[name] = {"algorithm": value}
        elif isinstance(value, dict) and isinstance(value.get("algorithm"), str):
            found[name] = value
        else:
            raise UsageError(
                f"{path.absolute()}: {name} in [{ALGORITHMS}] is neither the name of an algorithm "
                'nor a table such as { algorithm = "maml", inner_steps = 3 }'
            )
    return found


def read_file(path: Path) -> dict[str, dict[str, Any]]:
    """Read the tables of settings.

    Args:
        path: The file, which may be absent.

    Returns:
        The values by key, of the tables ``run`` and ``algorithms``.

    Raises:
        UsageError: If the file is not TOML or has anything beside the tables.
    """
    tables: dict[str, dict[str, Any]] = {SECTION: {}, ALGORITHMS: {}}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return tables
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path.absolute()} cannot be read: {error}") from error
    for key, value in document.items():
        if key not in tables:
            place = "table" if isinstance(value, dict) else "key"
            raise UsageError(
                f"{path.absolute()}: unknown {place} {key!r}; settings belong into the table "
                f"[{SECTION}], algorithms of your own into [{ALGORITHMS}]"
            )
        if not isinstance(value, dict):
            raise UsageError(f"{path.absolute()}: {key} is not a table; write [{key}]")
        tables[key] = value
    return tables


def _flag(option: click.Option) -> str:
    return max(option.opts, key=len).lstrip("-")


def _option_value(value: Any, key: str, path: Path, *, multiple: bool) -> Any:
    if isinstance(value, dict):
        raise UsageError(f"{path.absolute()}: {key} in [{SECTION}] is a table, not a value")
    items = [_scalar(item) for item in value] if isinstance(value, list) else [_scalar(value)]
    if multiple:
        return items
    return ",".join(map(str, items)) if isinstance(value, list) else items[0]


def _scalar(value: Any) -> Any:
    return value if isinstance(value, bool) else str(value)


def _origin(error: click.BadParameter) -> str:
    if error.ctx is None or error.param is None or error.param.name is None:
        return ""
    source = error.ctx.get_parameter_source(error.param.name)
    if source is ParameterSource.ENVIRONMENT:
        return f"from the environment: {error.param.envvar}"
    if source is ParameterSource.DEFAULT_MAP:
        return f"from {Path(FILE).absolute()}"
    return ""
