"""A page as its reader: every block in turn, in one folder, with one Python namespace."""

import importlib
import json
import os
import sys
import tomllib
import types
from contextlib import contextmanager
from pathlib import Path

import yaml
from docs_blocks import steps_of, words
from docs_commands import METABENCH, carry_out, look_up, parse, split

from metabench.cli.run import run as run_command
from metabench.runs.suite import parse_suite

SUITE_KEYS = {"protocol", "entries", "variants"}


class Page:
    """Carries out blocks in the current folder.

    Args:
        make_store: Called with the path where a small finished store is to be.
    """

    def __init__(self, make_store):
        self._make_store = make_store
        self._module = types.ModuleType("block_of_a_page")

    def __call__(self, block):
        """Do with a block what its language and marks say.

        Raises:
            AssertionError: If it does not do what the page says.
        """
        if "skip" in block.marks:
            return
        if "store" in block.marks and not Path("results").exists():
            self._make_store(Path("results"))
        if block.title:
            Path(block.title).write_text(block.text, "utf-8")
        getattr(self, f"_{block.language}")(block)

    def _python(self, block):
        if block.title:
            module = importlib.import_module(Path(block.title).stem)
            vars(self._module).update(
                {k: v for k, v in vars(module).items() if not k.startswith("__")}
            )
            return
        code = compile("\n" * (block.line - 1) + block.text, block.page, "exec", dont_inherit=True)
        sys.modules[self._module.__name__] = self._module
        exec(code, vars(self._module))  # noqa: S102 - this is what the test is for

    def _bash(self, block):
        for step in steps_of(block):
            printed = ""
            for variables, command in split(step.command):
                printed += self._command(block, step, variables, command)
            missing = words(step.printed) - words(printed) if "parse" not in block.marks else ()
            where = f"{block.page}:{step.line}: {step.command}"
            assert not missing, f"{where}\ndoes not print {sorted(missing)}, but\n{printed}"

    _console = _bash

    def _command(self, block, step, variables, command):
        name, *arguments = command
        if name != METABENCH:
            return look_up(name, arguments)
        with environment(variables):
            code, printed = (parse if "parse" in block.marks else carry_out)(arguments)
        where = f"{block.page}:{step.line}: {step.command}"
        assert code == int(block.marks.get("exit", 0)), f"{where}\nends with {code}\n{printed}"
        return printed

    def _toml(self, block):
        content = tomllib.loads(block.text)
        if block.title == "metabench.toml":
            run_command.make_context("run", [])  # reads the file in the current folder
        elif SUITE_KEYS & set(content):
            parse_suite(block.text, block.place)
        points = content.get("project", {}).get("entry-points", {})
        for value in points.get("metabench", {}).values():
            assert all(part.isidentifier() for part in value.replace(":", ".").split(".")), value

    def _yaml(self, block):
        yaml.safe_load(block.text)

    def _json(self, block):
        json.loads(block.text)

    def _text(self, block):
        pass

    _html = _text


@contextmanager
def environment(variables):
    """Set environment variables for a while."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
