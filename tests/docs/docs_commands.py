"""What becomes of a command on a page: carried out, parsed, or looked up."""

import importlib
import os
import re
import shlex
import shutil
import subprocess
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
    """Check a command that is not metabench's as far as that can be done; return what it prints."""
    known = {
        "pip": _pip, "pytest": _pytest, "python": _python, "mkdocs": _mkdocs, "ruff": _tool,
        "mypy": _tool, "cd": _cd, "mkdir": _mkdir, "export": _export,
    }  # fmt: skip
    assert name in known, f"{name}: tests/docs/docs_commands.py does not know how to check it"
    return known[name](name, arguments) or ""


def _pip(_, arguments):
    assert arguments[0] == "install", arguments
    rest = iter(arguments[1:])
    for word in rest:
        if word == "-r":
            assert (ROOT / next(rest)).is_file()
            continue
        if word == "-e":
            word = next(rest)  # noqa: PLW2901 - an editable install is an install
        folder, _, extras = word.rstrip("]").partition("[")
        if Path(folder, "pyproject.toml").is_file():
            install(Path(folder))
        elif folder.startswith(METABENCH):
            _has_extras(ROOT if folder == METABENCH else ROOT / _plugin(folder), extras)


def _plugin(distribution):
    return distribution.replace("metabench-", "plugins/")


def _has_extras(folder, extras):
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    for extra in filter(None, extras.split(",")):
        assert extra in project["optional-dependencies"], f"{folder.name} has no extra {extra!r}"


def install(folder):
    """Make the plugin in a folder known, as ``pip install`` would."""
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    name = project.get("name", "plugin-of-the-page")
    version = project.get("version", "0.1.0")
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}"]
    lines += [f"Summary: {project['description']}"] if "description" in project else []
    lines += [f"License-Expression: {project['license']}"] if "license" in project else []
    lines += [f"Requires-Dist: {one}" for one in project.get("dependencies", ())]
    (metadata / "METADATA").write_text("\n".join(lines) + "\n")
    points = project["entry-points"]["metabench"].items()
    lines = ["[metabench]", *(f"{key} = {value}" for key, value in points)]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    sys.path.insert(0, str(folder.resolve()))
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder.resolve()), before]))
    importlib.invalidate_caches()


def _pytest(_, arguments):
    if "--metabench-plugin" in arguments or any(Path(word).is_dir() for word in arguments):
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        return done.stdout
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]
    markers = {line.split(":")[0] for line in configured["ini_options"]["markers"]}
    rest = iter(arguments)
    for word in rest:
        if word == "-m":
            assert set(re.findall(r"\w+", next(rest))) <= markers | {"and", "not", "or"}
        elif word == "-n":
            int(next(rest))
        elif not word.startswith("-"):
            assert (ROOT / word).exists(), word
    return ""


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
