"""Algorithms with an argument, and algorithms of the user's own: names and keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from plan_cases import algorithm, catalogue, encoder, entries, plan

from metabench.errors import UsageError
from metabench.learners.contracts import Hyperparameters, build_hyperparameters, collected
from metabench.runs.parts import with_variants
from metabench.runs.record import Record
from metabench.runs.request import RunRequest
from metabench.runs.store import Store, record_name
from metabench.runs.suite import find_suite
from metabench.testing.audit import _all_algorithms

ANY = algorithm("any", argument="package.module:Class", libraries=("click",), recipe="none")
ALGORITHMS = {"algorithms": entries(ANY, algorithm("protonet"))}
ONE = {"sources": ["blobs"], "encoders": ["plain"], "shots": [1]}


def only(request, **changes):
    (cell,) = plan({**ONE, **request}, **{**ALGORITHMS, **changes}).values()
    return cell


def test_an_argument_is_part_of_name_and_key():
    cell = only({"algorithms": ["any:pluggy.callers:Thing"]})
    assert cell.task.cell.algorithm == "any:pluggy.callers:Thing"
    part = cell.task.key_parts["algorithm"]
    assert part["name"] == "any:pluggy.callers:Thing"
    assert part["options"] == {"argument": "pluggy.callers:Thing"}
    assert part["libraries"].keys() == {"click", "pluggy"}
    assert part["libraries"]["pluggy"].startswith("pluggy 1.")
    other = only({"algorithms": ["any:pluggy.callers:Other"]})
    assert other.task.key != cell.task.key


def test_a_module_that_no_distribution_lists_is_as_new_as_its_code(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    keys = []
    for text in ("class Mine: pass", "class Mine: 'better'"):
        (tmp_path / "my_own_estimators.py").write_text(text)
        keys.append(only({"algorithms": ["any:my_own_estimators:Mine"]}).task.key)
    assert keys[0] != keys[1]


def test_without_libraries_the_key_is_as_it_always_was():
    assert plan(ONE | {"algorithms": ["protonet"]})["blobs/plain/protonet/quick-5w1s/seed0"]
    part = only({"algorithms": ["protonet"]}).task.key_parts["algorithm"]
    assert "libraries" not in part


def test_what_the_argument_needs_and_is_not_installed_makes_the_cell_unavailable():
    verdict = only({"algorithms": ["any:no_such_package.module:Thing"]}).verdict
    assert verdict.status == "unavailable"
    assert verdict.reason == (
        "any:no_such_package.module:Thing needs no_such_package, which cannot be imported here; "
        "install what provides it, or put the folder that no_such_package is in on PYTHONPATH"
    )
    coder = encoder("coder", trainable=False, argument="model", libraries=("no_such_package",))
    cells = plan(
        ONE | {"encoders": ["coder:x"], "algorithms": ["protonet"]}, encoders=entries(coder)
    )
    (cell,) = cells.values()
    assert cell.verdict.status == "unavailable"
    assert "run `pip install no_such_package`" in cell.verdict.reason


def test_no_run_takes_an_algorithm_without_its_argument():
    labels = plan({"sources": ["blobs"], "encoders": ["plain"]}, **ALGORITHMS)
    assert {cell.task.cell.algorithm for cell in labels.values()} == {"protonet"}
    found = catalogue(**ALGORITHMS)
    assert _all_algorithms(RunRequest(), found) == ("protonet",)
    with pytest.raises(UsageError, match=r"needs an argument: any:<package\.module:Class>"):
        plan(ONE | {"algorithms": ["any"]}, **ALGORITHMS)
    with pytest.raises(UsageError, match="protonet takes no argument"):
        plan(ONE | {"algorithms": ["protonet:x"]}, **ALGORITHMS)


def test_algorithms_of_ones_own():
    own = {
        "mine": {"algorithm": "any:click:Command", "depth": 3},
        "five": {"algorithm": "protonet"},
    }
    asked = {"sources": ["blobs"], "encoders": ["plain"], "shots": [1], "variants": own}
    labels = plan(asked, **ALGORITHMS)
    assert {cell.task.cell.algorithm for cell in labels.values()} == {"protonet", "mine", "five"}
    mine = labels["blobs/plain/mine/quick-5w1s/seed0"].task
    assert mine.algorithm.info.summary == "any:click:Command with depth = 3"
    assert mine.key_parts["algorithm"]["options"] == {"argument": "click:Command", "depth": 3}
    assert mine.key_parts["algorithm"]["libraries"].keys() == {"click"}
    assert mine.cell.algorithm == "mine"


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"protonet": {"algorithm": "any:a:B"}}, "algorithm 'protonet': toys has an algorithm of"),
        ({"mine": {"algorithm": "any"}}, "algorithm 'mine': algorithm 'any' needs an argument"),
        ({"mine": {"algorithm": "protonett"}}, "algorithm 'mine': unknown algorithm 'protonett'"),
    ],
)
def test_mistakes_in_them(own, said):
    with pytest.raises(UsageError) as caught:
        plan({"variants": own}, **ALGORITHMS)
    assert said in str(caught.value)


def test_a_suite_and_its_user_may_not_mean_two_things_by_a_name(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('name = "own"\n[variants.mine]\nalgorithm = "protonet"\n')
    own = RunRequest(variants={"mine": {"algorithm": "protonet"}}).variants
    with pytest.raises(UsageError, match="the suite 'own' has a variant of that name"):
        with_variants(catalogue(**ALGORITHMS), find_suite(str(path)), own)


def test_a_request_with_both_survives_the_store():
    request = RunRequest(
        variants={"mine": {"algorithm": "any:x", "depth": 3}}, plugin_env={"toy": "/venv"}
    )
    again = RunRequest.model_validate_json(request.model_dump_json())
    assert again == request
    assert again.variants["mine"].options == {"depth": 3}


def test_files_of_records_have_names_that_every_system_takes():
    cell = only({"algorithms": ["any:click:Command"]}).task.cell
    assert record_name(cell, "0" * 64).startswith("any_click_Command--plain--seed0--")
    plain = cell.model_copy(update={"algorithm": "maml++"})
    assert record_name(plain, "0" * 64).startswith("maml++--plain--seed0--")


def test_the_store_finds_them_by_name(tmp_path):
    store = Store(tmp_path)
    for name in ("any:click:Command", "protonet"):
        task = only({"algorithms": [name]}).task
        store.put(Record(key=task.key, key_parts=task.key_parts, cell=task.cell, status="failed"))
    assert store.algorithms() == ("any:click:Command", "protonet")
    (found,) = store.scan(["any:click:Command"])
    assert found.cell.algorithm == "any:click:Command"


@dataclass(frozen=True, kw_only=True)
class Collecting(Hyperparameters):
    argument: str = ""
    others: Mapping[str, Any] = collected()


def test_options_that_are_collected():
    options = {"argument": "a", "learning_rate": "fast", "depth": 3}
    hyper = build_hyperparameters(Collecting, options, "any")
    assert (hyper.argument, hyper.learning_rate) == ("a", 1e-3)
    assert hyper.others == {"learning_rate": "fast", "depth": 3}
    assert build_hyperparameters(Collecting, {}, "any").others == {}
    with pytest.raises(UsageError, match="argument=3 is not str"):
        build_hyperparameters(Collecting, {"argument": 3}, "any")
