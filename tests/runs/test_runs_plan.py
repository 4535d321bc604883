"""Planning: which cells there are, which cannot be run and why, and what their keys are made of."""

import itertools
from dataclasses import replace

import pytest
from plan_cases import (
    ACCURACY,
    PREPARED,
    algorithm,
    catalogue,
    encoder,
    entries,
    place,
    plan,
    source,
)

from metabench.errors import UsageError
from metabench.runs.outcomes import Verdict
from metabench.runs.plan import Knowledge
from metabench.runs.session import shard_of
from metabench.runs.tasks import Prepared

STAGED = "supervised+episodic"
ONE = {"algorithms": ("protonet",), "encoders": ("linear",), "shots": (1,)}


def names(cells):
    return [label.split("/")[1:3] for label in cells]


def test_the_suite_is_crossed_with_what_is_installed():
    cells = plan()
    assert len(cells) == 2 * (1 + 2 * 2)
    assert {label.split("/")[0] for label in cells} == {"blobs"}
    assert {label.split("/")[3] for label in cells} == {"quick-5w1s", "quick-5w5s"}
    assert ["none", "chance"] in names(cells)
    assert ["linear", "chance"] not in names(cells)
    assert len({cell.task.key for cell in cells.values()}) == len(cells)


def test_a_request_narrows_and_widens():
    cells = plan({**ONE, "seeds": (0, 1, 2), "shots": (1, 3)})
    assert len(cells) == 6
    assert "blobs/linear/protonet/quick-5w3s/seed2" in cells
    assert [label.split("/")[0] for label in plan({**ONE, "sources": ("far",)})] == ["far"]


def test_all_algorithms_are_those_installed_whatever_the_suite_runs():
    both = entries(algorithm("mean"), algorithm("slow", suites=("full",)))
    for asked, planned in (((), {"mean"}), (("all",), {"mean", "slow"})):
        cells = plan({"algorithms": asked}, algorithms=both)
        assert {label.split("/")[2] for label in cells} == planned


def test_what_is_asked_for_twice_is_planned_once():
    twice = {name: values * 2 for name, values in ONE.items()}
    assert list(plan({**twice, "seeds": (0, 0), "sources": ("blobs", "blobs")})) == list(plan(ONE))


@pytest.mark.parametrize(
    ("field", "value"), [("way", 3), ("queries", 7), ("episodes", 9), ("budget", 77)]
)
def test_a_changed_protocol_says_so_in_its_name(field, value):
    (cell,) = plan({**ONE, field: value}).values()
    protocol = cell.task.protocol
    assert protocol.name.endswith("-custom")
    assert getattr(protocol, {"queries": "query"}.get(field, field)) == value
    (plain,) = plan(ONE).values()
    assert plain.task.key != cell.task.key
    (same,) = plan({**ONE, "way": 5}).values()
    assert same == plain


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"domains": ("tyo",)}, "unknown domain 'tyo'; did you mean toy"),
        ({"sources": ("blob",)}, "unknown source 'blob'; did you mean blobs"),
        ({"encoders": ("liner",)}, "unknown encoder 'liner'; did you mean linear"),
        ({"encoders": ("linear:x",)}, "linear takes no argument"),
        ({"algorithms": ("protnet",)}, "unknown algorithm 'protnet'; did you mean protonet"),
        ({"suite": "qick"}, "unknown suite 'qick'; did you mean quick"),
        ({"domains": ("other",)}, "suite 'quick' has no source of the domain 'other'"),
        ({"domains": ("toy", "other")}, "suite 'quick' has no source of the domain 'other'"),
        ({"domains": ("other",), "sources": ("blobs",)}, "no source of the domain 'other'"),
        ({"way": "5-50"}, "way '5-50' does not go with shot 1"),
    ],
)
def test_what_cannot_be_planned_is_one_line(request_, said):
    with pytest.raises(UsageError) as error:
        plan(request_)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def verdict(cells, name="protonet"):
    (cell,) = (cell for label, cell in cells.items() if label.split("/")[2] == name)
    return cell.verdict


def test_a_task_kind_that_an_algorithm_does_not_do():
    sources = entries(source("rates", task_kind="regression", metric="r2"))
    metrics = entries(replace(ACCURACY, name="r2", task_kinds=("regression",), chance=0.0))
    found = verdict(plan(ONE, sources=sources, metrics=metrics))
    assert found == Verdict("inapplicable", "protonet does classification, not regression")


def test_a_modality_that_an_encoder_does_not_accept():
    found = plan(
        {**ONE, "encoders": ("conv",)}, encoders=entries(encoder("conv", modalities=("image",)))
    )
    assert verdict(found) == Verdict("inapplicable", "conv encodes image, not vector")
    accepts_all = entries(encoder("conv", modalities=("*",)))
    assert verdict(plan({**ONE, "encoders": ("conv",)}, encoders=accepts_all)) is None


def test_a_frozen_encoder_under_an_algorithm_that_adapts_it():
    cells = plan({"algorithms": ("maml",), "shots": (1,)})
    assert cells["blobs/linear/maml/quick-5w1s/seed0"].verdict is None
    assert cells["blobs/plain/maml/quick-5w1s/seed0"].verdict == Verdict(
        "inapplicable", "maml adapts the encoder's weights and plain is frozen"
    )


def test_no_encoder_for_a_modality_is_said_and_not_left_out():
    cells = plan({"shots": (1,), "algorithms": ("chance", "protonet")}, encoders={})
    found = verdict(cells)
    assert found.status == "unavailable"
    assert "no installed encoder accepts vector" in found.reason
    assert verdict(cells, "chance") is None


@pytest.mark.parametrize("part", ["source", "encoder", "algorithm"])
def test_a_missing_module_makes_the_cell_unavailable(part):
    made = {"source": source("blobs", requires=("no_such_module",)),
            "encoder": encoder("linear", requires=("no_such_module",)),
            "algorithm": algorithm("protonet", requires=("no_such_module",))}[part]  # fmt: skip
    found = verdict(plan(ONE, **{f"{part}s": entries(made)}))
    assert found.status == "unavailable"
    assert found.reason.endswith("needs no_such_module; run `pip install no_such_module`")


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"way": 7}, "7-way episodes need 7 classes and the test split has 6"),
        ({"shots": (6,)}, "5-way episodes need 5 classes of 21 examples (6 shot + 15 query)"),
    ],
)
def test_more_than_the_test_split_has_is_inapplicable_with_the_numbers(request_, reason):
    found = verdict(plan({**ONE, **request_}))
    assert found.status == "inapplicable"
    assert reason in found.reason


def test_what_loading_told_is_passed_on():
    missing = Verdict("unavailable", "no file")
    assert verdict(plan(ONE, known=Knowledge(sources={"blobs": missing}))) == missing
    knowledge = Knowledge(
        sources={"blobs": PREPARED}, encoders={("blobs", "plain"): Verdict("failed", "no weights")}
    )
    found = plan({**ONE, "encoders": ("plain",)}, known=knowledge)
    assert verdict(found).reason == "no weights"


def key_of(request=None, **changes):
    (cell,) = plan({**ONE, **(request or {})}, **changes).values()
    return cell.task.key


def changes_of_one_part():
    """What a key is made of, each part changed alone."""
    yield "protocol", {"request": {"episodes": 11}}
    yield "seed", {"request": {"seeds": (1,)}}
    yield "precision", {"where": place(precision="bf16")}
    other = replace(PREPARED, digest="t" * 64)
    yield "source digest", {"known": Knowledge(sources={"blobs": other})}
    yield "source kind", {"sources": entries(source("blobs", task_kind="binary")),
                          "algorithms": entries(algorithm("protonet", task_kinds=("binary",))),
                          "metrics": entries(ACCURACY)}  # fmt: skip
    yield "encoder name", {
        "request": {"encoders": ("other",)}, "encoders": entries(encoder("other"))
    }  # fmt: skip
    yield "encoder options", {"encoders": entries(encoder("linear", options={"width": 3}))}
    yield "encoder version", {"encoders": entries(encoder("linear"), version="2.0")}
    yield "encoder code", {"encoders": entries(replace(encoder("linear"), target="metabench:run"))}
    yield "encoder kind", {"encoders": entries(encoder("linear", trainable=False))}
    for name, fields in {
        "options": {"options": {"steps": 3}},
        "recipe": {"recipe": "supervised"},
        "recipe code": {"recipe": "metabench.learners.recipes:EpisodicRecipe"},
        "transductive": {"inductive": False},
        "adapting": {"adapts_encoder": True},
    }.items():
        yield f"algorithm {name}", {"algorithms": entries(algorithm("protonet", **fields))}
    yield (
        "algorithm code",
        {"algorithms": entries(replace(algorithm("protonet"), target="metabench:run"))},
    )
    yield "algorithm version", {"algorithms": entries(algorithm("protonet"), version="2.0")}
    yield "metric code", {"metrics": entries(replace(ACCURACY, target="metabench:run"))}
    yield "metric best", {"metrics": entries(replace(ACCURACY, best=2.0))}
    yield "metric chance", {"metrics": entries(replace(ACCURACY, chance=0.5))}


def test_each_part_changes_the_key_and_no_two_alike():
    keys = {"": key_of()} | {name: key_of(**change) for name, change in changes_of_one_part()}
    for (one, key), (other, other_key) in itertools.combinations(keys.items(), 2):
        assert key != other_key, (one, other)


def test_nothing_else_changes_the_key():
    same = {
        "jobs": {"request": {"jobs": 7, "executor": "dask", "timeout": 0.0}},
        "store": {"where": place(store="/elsewhere", data="/data", device="cuda")},
        "words": {"algorithms": entries(algorithm("protonet", citation="a", licence="MIT")),
                  "encoders": entries(replace(encoder("linear"), summary="other words"))},
        "neighbours": {"algorithms": entries(algorithm("another"), algorithm("protonet"))},
        "plugin": {"algorithms": entries(algorithm("protonet"), plugin="renamed")},
        "sizes": {"known": Knowledge(sources={"blobs": replace(PREPARED, notes=("a note",))})},
        "suites": {"sources": entries(source("blobs", suites={"quick": {}, "full": {}}))},
    }  # fmt: skip
    for name, change in same.items():
        assert key_of(**change) == key_of(), name


def test_seeds_are_added_to_those_that_are_there():
    before = {cell.task.key for cell in plan({**ONE, "seeds": (0, 1)}).values()}
    after = {cell.task.key for cell in plan({**ONE, "seeds": (0, 1, 2)}).values()}
    assert before < after


def test_a_frozen_encoder_counts_by_its_weights():
    request = {**ONE, "encoders": ("plain",)}
    keys = set()
    for digest in "ab":
        known = Knowledge({"blobs": PREPARED}, {("blobs", "plain"): Prepared(digest=digest * 64)})
        (cell,) = plan(request, known=known).values()
        keys.add(cell.task.key)
    assert len(keys) == 2


def test_one_supervised_checkpoint_serves_all_shots_and_algorithms():
    supervised = entries(algorithm("a", recipe="supervised"), algorithm("b", recipe="supervised"))
    cells = plan({"encoders": ("linear",)}, algorithms=supervised)
    assert len(cells) == 4
    assert len({cell.task.checkpoint_key(0) for cell in cells.values()}) == 1
    episodic = entries(algorithm("a"), algorithm("b"))
    cells = plan({"encoders": ("linear",)}, algorithms=episodic)
    assert len({cell.task.checkpoint_key(0) for cell in cells.values()}) == 4
    staged = entries(algorithm("a", recipe=STAGED), algorithm("b", recipe=STAGED))
    cells = plan({"encoders": ("linear",)}, algorithms=staged)
    assert len({cell.task.checkpoint_key(0) for cell in cells.values()}) == 1
    assert len({cell.task.checkpoint_key(1) for cell in cells.values()}) == 4
    whole = plan({"encoders": ("linear",)}, algorithms=supervised).values()
    first = {cell.task.checkpoint_key(0) for cell in cells.values()}
    assert first.isdisjoint(cell.task.checkpoint_key(0) for cell in whole)


def test_a_frozen_encoder_is_not_pretrained():
    staged = entries(algorithm("a", recipe=STAGED))
    (cell, *_) = plan({"encoders": ("plain",)}, algorithms=staged).values()
    assert cell.task.stages == ("episodic",)
    (cell, *_) = plan({"encoders": ("linear",)}, algorithms=staged).values()
    assert cell.task.stages == ("supervised", "episodic")


def test_a_learner_on_maps_needs_an_encoder_that_gives_them():
    local = entries(algorithm("a", features="map"))
    (cell, *_) = plan({"encoders": ("linear",)}, algorithms=local).values()
    assert cell.verdict.status == "inapplicable"
    assert cell.verdict.reason == "a compares maps of local features and linear gives none"
    either = entries(algorithm("a", features="map-if-any"))
    (cell, *_) = plan({"encoders": ("linear",)}, algorithms=either).values()
    assert cell.verdict is None
    assert not cell.task.takes_maps


def test_shards_are_disjoint_and_complete():
    from metabench.runs.plan import draft_cells
    from metabench.runs.request import RunRequest

    drafts = draft_cells(RunRequest(seeds=(0, 1, 2)), catalogue())
    for count in (1, 2, 3, 50):
        parts = [shard_of(drafts, (number, count)) for number in range(1, count + 1)]
        assert sorted(map(id, itertools.chain(*parts))) == sorted(map(id, drafts))
    assert len(shard_of(drafts, (1, 2))) < len(drafts)


SUITE = """
name = "mine"
seeds = [4]
shots = [2]
[protocol]
episodes = 10
[[entries]]
sources = ["blobs"]
encoders = ["plain"]
algorithms = ["protonet", "maml-3steps"]
shots = [1, 3]
protocol = { way = 3 }
[[entries]]
sources = ["far"]
algorithms = ["chance"]
[variants.maml-3steps]
algorithm = "maml"
inner_steps = 3
"""


@pytest.fixture
def suite(tmp_path):
    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return {"suite": str(path)}

    return write


def test_a_suite_file_with_sources_of_its_own(suite):
    cells = plan(suite(SUITE))
    assert set(cells) == {
        f"blobs/plain/{name}/mine-3w{shot}s/seed4"
        for name in ("protonet", "maml-3steps")
        for shot in (1, 3)
    } | {"far/none/chance/mine-5w2s/seed4"}
    assert cells["far/none/chance/mine-5w2s/seed4"].task.protocol.episodes == 10


def test_a_variant_is_an_algorithm_with_its_options_in_the_key(suite):
    request = {**suite(SUITE), "algorithms": ("maml", "maml-3steps"), "encoders": ("linear",),
               "sources": ("blobs",), "shots": (1,)}  # fmt: skip
    maml, variant = plan(request).values()
    assert (maml.task.cell.algorithm, variant.task.cell.algorithm) == ("maml", "maml-3steps")
    assert variant.task.algorithm.info.options == {"inner_steps": 3}
    assert variant.task.algorithm.info.adapts_encoder
    assert variant.task.key_parts["algorithm"]["options"] == {"inner_steps": 3}
    assert variant.task.key != maml.task.key
    other = plan(request | suite(SUITE.replace("inner_steps = 3", "inner_steps = 4")))
    assert other[variant.task.cell.label].task.key != variant.task.key
    assert other[maml.task.cell.label].task.key == maml.task.key


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("variants.maml-3steps", "variants.maml", "toys has an algorithm of that name"),
        ('algorithm = "maml"', 'algorithm = "mamml"', "unknown algorithm 'mamml'; did you mean"),
        ('"maml-3steps"]', '"maml-4steps"]', "unknown algorithm 'maml-4steps'; did you mean maml"),
        ('sources = ["far"]', 'sources = ["fir"]', "unknown source 'fir'"),
        ("way = 3", "wey = 3", "unknown protocol setting 'wey'; did you mean way"),
    ],
)
def test_a_suite_that_names_what_is_not_there(suite, old, new, said):
    assert old in SUITE
    with pytest.raises(UsageError) as error:
        plan(suite(SUITE.replace(old, new)))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_what_a_suite_places_runs_only_there(tmp_path):
    (tmp_path / "own.toml").write_text(
        """
name = "own"
shots = [1]
[[entries]]
sources = ["blobs"]
encoders = ["linear"]
algorithms = ["maml"]
protocol = { budget = 10 }
[[entries]]
sources = ["blobs"]
encoders = ["plain"]
algorithms = ["protonet"]
protocol = { budget = 20 }
"""
    )

    def planned(**request):
        cells = plan({"suite": str(tmp_path / "own.toml"), **request}).values()
        return {(c.task.cell.encoder, c.task.cell.algorithm, c.task.protocol.budget) for c in cells}

    both = {("linear", "maml", 10), ("plain", "protonet", 20)}
    assert planned() == both
    assert planned(algorithms=("maml", "protonet")) == both
    assert planned(algorithms=("protonet",)) == {("plain", "protonet", 20)}
    assert planned(encoders=("linear",)) == {("linear", "maml", 10)}
    found = planned(algorithms=("chance", "maml"), encoders=("linear",))
    assert found == {("linear", "maml", 10), ("none", "chance", 10)}
