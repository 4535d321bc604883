"""``[algorithms]`` in ``metabench.toml``: algorithms of the user's own, without a suite file."""

import json

import pytest
from click.testing import CliRunner

from metabench.cli import main
from metabench.cli._settings import read_algorithms
from metabench.errors import UsageError

FOREST = "sklearn:ensemble.ExtraTreesClassifier"
ONE = ("run", "--sources", "digits", "--encoders", "pixels", "--shots", "5", "--dry-run", "--json")


@pytest.fixture
def toml(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "metabench.toml"


def run(*arguments):
    return CliRunner().invoke(main, [*ONE, *arguments])


def test_a_line_or_a_table_is_an_algorithm(toml):
    toml.write_text(
        f'[run]\nepisodes = 7\n[algorithms]\ntrees = "{FOREST}"\n'
        f'more-trees = {{ algorithm = "{FOREST}", n_estimators = 300 }}\n'
        '[algorithms.near]\nalgorithm = "nearest-neighbour"\n'
    )
    assert read_algorithms(toml) == {
        "trees": {"algorithm": FOREST},
        "more-trees": {"algorithm": FOREST, "n_estimators": 300},
        "near": {"algorithm": "nearest-neighbour"},
    }
    done = run("--algorithms", "trees,more-trees,near")
    cells = json.loads(done.stdout)["cells"]
    assert {cell["algorithm"] for cell in cells} == {"trees", "more-trees", "near"}
    assert {cell["plugin"] for cell in cells} == {"metabench-algorithms"}
    every = {cell["algorithm"] for cell in json.loads(run().stdout)["cells"]}
    assert {"trees", "more-trees", "near", "protonet"} <= every
    assert "sklearn" not in every


def test_without_a_file_there_are_none(toml):
    assert read_algorithms(toml) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trees = 3", "trees in [algorithms] is neither the name of an algorithm nor a table"),
        ("trees = { n_estimators = 3 }", "trees in [algorithms] is neither"),
        (
            '"Two words" = "protonet"',
            "metabench.toml: [algorithms]: 'Two words' cannot be a name; a name is of lower-case",
        ),
        ('trees = "sklearn"', "algorithm 'trees': algorithm 'sklearn' needs an argument"),
        ('protonet = "maml"', "algorithm 'protonet': metabench-algorithms has an algorithm of"),
        ('trees = "protonett"', "unknown algorithm 'protonett'; did you mean protonet"),
    ],
)
def test_mistakes_are_one_line_with_their_place(toml, text, said):
    toml.write_text(f"[algorithms]\n{text}\n")
    done = run()
    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_other_tables_are_still_refused(toml):
    toml.write_text('[algorithm]\ntrees = "protonet"\n')
    with pytest.raises(UsageError, match=r"unknown table 'algorithm'.*\[run\].*\[algorithms\]"):
        read_algorithms(toml)
    toml.write_text('algorithms = "protonet"\n')
    with pytest.raises(UsageError, match=r"algorithms is not a table; write \[algorithms\]"):
        read_algorithms(toml)
