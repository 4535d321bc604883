"""The leaderboard commands as typed: help, bad requests, and the example workflow."""

import re
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from metabench.cli import main
from metabench.cli.leaderboard import COMMANDS, leaderboard

ROOT = Path(__file__).parents[2]


def typed(*arguments):
    result = CliRunner().invoke(main, ["leaderboard", *map(str, arguments)])
    assert "Traceback" not in result.output
    return result.exit_code, result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    code, out = typed(name, "--help")
    assert code == 0
    assert "Usage: " in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", "nowhere"), "is no folder"),
        (("verify", "--rerun", "-1"), "-1 is not in the range"),
        (("verify", "--device", "abacus", "--rerun", "1"), "device"),
        (("merge",), "Missing argument"),
        (("merge", "nowhere"), "is no folder"),
        (("diff", "nowhere", "elsewhere"), "holds neither records nor tables"),
        (("submit-check", "nowhere"), "is no folder"),
        (("push", "hf", "--folder", "nowhere"), "holds no tables"),
        (("push", "git", "nowhere"), "holds no files"),
        (("push", "ftp"), "unknown command 'ftp'"),
        (("verfy",), "did you mean verify?"),
    ],
)
def test_bad_requests_are_one_line_and_exit_code_2(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, out = typed(*arguments)
    assert code == 2, out
    assert said in out
    assert len(out.strip().splitlines()) == 1


def test_the_example_workflow_uses_flags_that_exist():
    text = (ROOT / "examples" / "submission.yml").read_text("utf-8")
    steps = yaml.safe_load(text)["jobs"]["check"]["steps"]
    script = "\n".join(step.get("run", "") for step in steps).replace("\\\n", " ")
    (call,) = re.findall(r"metabench leaderboard (.*)", script)
    command = leaderboard.get_command(click.Context(leaderboard), call.split()[0])
    flags = {flag for parameter in command.params for flag in parameter.opts}
    assert set(re.findall(r"--[a-z]+", call)) <= flags
