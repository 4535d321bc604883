"""What becomes of a command on a page: carried out, parsed, or looked up."""

import importlib
import os
import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path

import click
from click.testing import CliRunner
from docs_blocks import ROOT

from metabench.cli import main

METABENCH = "metabench"


def split(line):
    """Split a line at ``&&`` into commands: the variables set for each, and its words."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split = True
    commands = [[]]
    for word in lexer:
        if word == "&&":
            commands.append([])
        else:
            assert not set(word) & set("|;<>"), f"{line}: {word!r} is more shell than is tested"
            commands[-1].append(word)
    for command in commands:
        if not command:
            continue  # a comment
        count = next(n for n, word in enumerate(command) if not re.match(r"[A-Z_]+=", word))
        variables = dict(word.split("=", 1) for word in command[:count])
        yield (
            {name: at_home(value) for name, value in variables.items()},
            [at_home(word) for word in command[count:]],
        )


def at_home(word):
    """Put the home folder where a word begins with it."""
    return str(Path(word).expanduser()) if word.startswith("~") else word


def carry_out(arguments):
    """Run ``metabench`` in this process; return the exit code and all that it printed."""
    result = CliRunner().invoke(main, arguments, prog_name=METABENCH)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def parse(arguments):
    """Parse ``metabench``'s arguments; let ``run`` plan what it would do."""
    if arguments[0] == "run":
        return carry_out([*arguments, "--dry-run", "--json"])
    command, context, rest = main, click.Context(main, info_name=METABENCH), list(arguments)
    while isinstance(command, click.Group):
        name = rest.pop(0)
        command = command.get_command(context, name)
        assert command is not None, f"there is no command {name!r}"
        context = click.Context(command, info_name=name, parent=context)
    command.make_context(context.info_name, rest, parent=context.parent)
    return 0, ""


def look_up(name, arguments):
    """Check a command that is not metabench's as far as that can be done without it."""
    known = {
        "pip": _pip, "pytest": _pytest, "python": _python, "mkdocs": _mkdocs, "ruff": _tool,
        "mypy": _tool, "cd": _cd, "mkdir": _mkdir, "export": _export,
    }  # fmt: skip
    assert name in known, f"{name}: tests/docs/docs_commands.py does not know how to check it"
    known[name](name, arguments)


def _pip(_, arguments):
    assert arguments[0] == "install", arguments
    rest = iter(arguments[1:])
    for word in rest:
        if word == "-r":
            assert (ROOT / next(rest)).is_file()
        elif word == "-e":
            assert (ROOT / next(rest) / "pyproject.toml").is_file()
        elif word == ".":
            install_here()
        else:
            _known_requirement(word)


def _known_requirement(text):
    name, _, extras = text.rstrip("]").partition("[")
    folder = ROOT / name.replace("metabench-", "plugins/") if name != METABENCH else ROOT
    if not name.startswith(METABENCH):
        return
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == name
    for extra in filter(None, extras.split(",")):
        assert extra in project["optional-dependencies"], f"{name} has no extra {extra!r}"


def install_here():
    """Make the plugin in the current folder known, as ``pip install .`` would."""
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    name = project.get("name", "plugin-of-the-page")
    folder = Path(f"{name.replace('-', '_')}-1.0.dist-info")
    folder.mkdir()
    version = project.get("version", "0.1.0")
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = ["[metabench]"]
    lines += [f"{key} = {value}" for key, value in project["entry-points"]["metabench"].items()]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")
    importlib.invalidate_caches()


def _pytest(_, arguments):
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]
    markers = {line.split(":")[0] for line in configured["ini_options"]["markers"]}
    rest = iter(arguments)
    for word in rest:
        if word == "-m":
            assert set(re.findall(r"\w+", next(rest))) <= markers | {"and", "not", "or"}
        elif word == "-n":
            int(next(rest))
        elif not word.startswith("-"):
            assert Path(word).exists() or (ROOT / word).exists(), word


def _python(_, arguments):
    script = ROOT / arguments[0]
    script = script / "__main__.py" if script.is_dir() else script
    text = script.read_text("utf-8")
    for flag in (word for word in arguments if word.startswith("--")):
        assert f'"{flag}"' in text, f"{arguments[0]} has no {flag}"


def _mkdocs(_, arguments):
    assert arguments[0] in {"build", "serve"}
    assert (ROOT / "mkdocs.yml").is_file()


def _tool(name, _):
    assert name in (ROOT / "requirements-dev.txt").read_text("utf-8").split()
    assert shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def _cd(_, arguments):
    os.chdir(arguments[0])


def _mkdir(_, arguments):
    Path(arguments[-1]).mkdir(parents="-p" in arguments)


def _export(_, arguments):
    os.environ.update(word.split("=", 1) for word in arguments)
