"""Plugins of another interpreter: asked for, not imported.

The interpreter runs `metabench.registry.describe`, which answers in JSON.
"""

from __future__ import annotations

import difflib
import hashlib
import inspect
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import pluggy

import metabench
from metabench import hookspecs
from metabench.errors import UsageError
from metabench.hookspecs import DataFile, Descriptor
from metabench.registry.candidates import CORE, Candidate, normalised
from metabench.registry.catalogue import Kind, Problem, one_line
from metabench.registry.home import Environment, package_of
from metabench.registry.loading import HOOKS, Provision

ANSWER_SECONDS = 120


def core_digest(init: str) -> str:
    """Return the SHA-256 of the Python files of metabench; its text runs there, too.

    Args:
        init: The path of its ``__init__.py``.
    """
    folder, sha = Path(init).parent, hashlib.sha256()
    for name, file in sorted((path.relative_to(folder), path) for path in folder.rglob("*.py")):
        content = hashlib.sha256(file.read_bytes().replace(b"\r\n", b"\n"))
        sha.update(f"{name.as_posix()}\0{content.hexdigest()}\0".encode())
    return sha.hexdigest()


BOOTSTRAP = f"""
import hashlib, json, sys
from pathlib import Path

{inspect.getsource(core_digest)}

version, digest = sys.argv[1:]
try:
    import metabench
    if metabench.__version__ != version:
        fault = {{"other": metabench.__version__}}
    elif core_digest(metabench.__file__) != digest:
        fault = {{"differs": str(Path(metabench.__file__).parent)}}
    else:
        fault = None
        from metabench.registry.describe import main
except ImportError as error:
    fault = {{"absent": str(error)}}
if fault:
    print(json.dumps(fault))
else:
    main()
"""
TYPES: Mapping[Kind, type[Descriptor]] = dict(HOOKS.values())


class There:
    """The installation of another interpreter; see `metabench.registry.home.Home`.

    Args:
        environment: The interpreter.
        facts: What it has told already, by question.
    """

    def __init__(self, environment: Environment, facts: Mapping[str, dict[str, Any]]) -> None:
        self.environment = environment
        self._facts = {question: dict(answers) for question, answers in facts.items()}

    def code(self, target: str) -> str:
        """Return the digest of the code behind a target; empty if it cannot be found."""
        return str(self._answers("code", [target])[target])

    def dependencies(self, distribution: str) -> Mapping[str, str]:
        """Return the installed versions of a distribution's own requirements."""
        versions = self._answers("dependencies", [distribution])[distribution]
        assert isinstance(versions, Mapping)
        return versions

    def libraries(self, names: Iterable[str]) -> Mapping[str, str]:
        """Return what identifies packages, by name: their versions, or else their code."""
        answers = self._answers("libraries", names)
        return {package_of(name): str(version) for name, version in answers.items()}

    def missing(self, modules: Iterable[str]) -> tuple[str, ...]:
        """Return the modules that are not installed."""
        answers = self._answers("installed", modules)
        return tuple(name for name, installed in answers.items() if not installed)

    def _answers(self, question: str, names: Iterable[str]) -> dict[str, Any]:
        names, known = tuple(names), self._facts[question]
        if unknown := [name for name in names if name not in known]:
            known.update(_ask(self.environment, {question: unknown})[question])
        return {name: known[name] for name in names}


def plugins_elsewhere(name: str, python: str) -> tuple[list[Provision], list[Problem]]:
    """Ask another interpreter for a plugin.

    Args:
        name: The name of a distribution, or of its entry point.
        python: The interpreter, or the folder of its virtual environment.

    Returns:
        What the plugin provides, one item per entry point, and what is wrong with it.

    Raises:
        UsageError: If there is no such interpreter, or metabench or the plugin is not there.
    """
    if normalised(name) == CORE:
        raise UsageError(f"--plugin-env {name}={python}: metabench itself runs where it is called")
    bare = Environment(name, python, find_interpreter(name, python))
    answer = _ask(bare, {"plugin": name})
    if not answer["plugins"] and not answer["problems"]:
        near = difflib.get_close_matches(name, answer["known"], n=3, cutoff=0.5)
        hint = f"`{bare.executable} -m pip install {name}` installs it"
        if near:  # what is mistyped may be a stranger's package
            hint = f"did you mean {' or '.join(near)}?"
        raise UsageError(
            f"--plugin-env {name}={python}: no plugin of that name is installed there; {hint}"
        )
    if "torch" not in answer["versions"]:
        raise UsageError(
            f"--plugin-env {name}={python}: PyTorch is not installed there; run "
            f"`{bare.executable} -m pip install torch`"
        )
    environment = Environment(name, python, bare.executable, answer["versions"])
    home = There(environment, answer["facts"])
    provisions = [
        Provision(
            Candidate(**plugin["candidate"], home=home),
            _no_hooks(),
            {
                kind: tuple(_descriptor(TYPES[kind], values) for values in infos)
                for kind, infos in plugin["descriptors"].items()
            },
        )
        for plugin in answer["plugins"]
    ]
    return provisions, [Problem(**problem) for problem in answer["problems"]]


def find_interpreter(name: str, python: str) -> str:
    """Return the path of an interpreter.

    A link is not followed: an interpreter of a virtual environment is one.

    Args:
        name: The plugin that it is for.
        python: An interpreter's path or name, or the folder of a virtual environment.

    Raises:
        UsageError: If there is none.
    """
    place = f"--plugin-env {name}={python}"
    path = Path(python).expanduser()
    if path.is_dir():
        inside = [path / "bin" / "python", path / "Scripts" / "python.exe"]
        found = next((str(one) for one in inside if one.is_file()), None)
        if found is None:
            raise UsageError(f"{place}: the folder holds no bin/python; make a virtual environment "
                             f"with `python -m venv {python}`, or name an interpreter")  # fmt: skip
    else:
        found = str(path) if path.is_file() else shutil.which(python)
    if found is None or not os.access(found, os.X_OK):
        raise UsageError(
            f"{place}: there is no such interpreter; name an executable, such as "
            "/path/to/venv/bin/python, or the folder of a virtual environment"
        )
    return os.path.abspath(found)  # noqa: PTH100 - Path.resolve would follow the link


def _ask(environment: Environment, question: Mapping[str, Any]) -> Any:
    """Start the interpreter, ask, and take its answer."""
    place = f"--plugin-env {environment.name}={environment.python}"
    version, digest = metabench.__version__, core_digest(metabench.__file__)
    command = [environment.executable, "-P", "-c", BOOTSTRAP, version, digest]
    try:
        done = subprocess.run(  # noqa: S603 - the user's own interpreter
            command,
            input=json.dumps(question),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=ANSWER_SECONDS,
            env=environment.variables(),
            check=False,
        )
        answer = json.loads(done.stdout)
        assert isinstance(answer, dict)
    except subprocess.TimeoutExpired:
        raise UsageError(f"{place}: it gave no answer within {ANSWER_SECONDS} seconds") from None
    except (OSError, ValueError, AssertionError) as error:
        said = str(error) if isinstance(error, OSError) else (done.stderr.strip() or "no answer")
        raise UsageError(
            f"{place}: it does not answer as Python 3.11 or newer does "
            f"({one_line(said.splitlines()[-1])})"
        ) from None
    if "absent" in answer:
        raise UsageError(
            f"{place}: metabench cannot be imported there ({one_line(answer['absent'])}); run "
            f"`{environment.executable} -m pip install metabench=={version}`"
        )
    if "other" in answer:
        raise UsageError(
            f"{place}: it has metabench {answer['other']}, and this is {version}; "
            f"run `{environment.executable} -m pip install metabench=={version}`"
        )
    if "differs" in answer:
        ours = Path(metabench.__file__).parent
        raise UsageError(
            f"{place}: its metabench ({answer['differs']}) and this one ({ours}) are both called "
            f"{version}, but their code differs; install the same one in both, such as by "
            f"`{environment.executable} -m pip install --force-reinstall --no-deps {_origin(ours)}`"
        )
    return answer


def _origin(package: Path) -> str:
    """Return what pip installs this metabench from: its checkout, or else an index."""
    checkout = (package.parent / "pyproject.toml").is_file()
    return f"-e {package.parent}" if checkout else f"metabench=={metabench.__version__}"


def _descriptor(cls: type[Descriptor], values: Mapping[str, Any]) -> Descriptor:
    """Undo `dataclasses.asdict` and JSON, which knows no tuples."""
    hints = get_type_hints(cls)
    made: dict[str, Any] = {
        name: tuple(value) if get_origin(hints[name]) is tuple else value
        for name, value in values.items()
    }
    if "files" in made:
        made["files"] = tuple(DataFile(**file) for file in made["files"])
    return cls(**made)


def _no_hooks() -> pluggy.PluginManager:
    """A plugin of another interpreter observes nothing here."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager
