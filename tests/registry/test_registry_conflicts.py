"""Names that several plugins claim, and the switches that turn plugins off."""

import itertools

import pytest
from fake_plugins import algorithm

from metabench.errors import UsageError
from metabench.registry.discovery import load_plugins


def both(names):
    return "\n".join(algorithm(name).replace("metabench_algorithms", f"_{i}")
                     .replace("@hookimpl", "") for i, name in enumerate(names)) + """
    @hookimpl
    def metabench_algorithms():
        return [*_0(), *_1()]
    """  # fmt: skip


@pytest.mark.parametrize("order", list(itertools.permutations(("aa", "bb"))))
def test_a_name_that_two_plugins_claim_goes_to_neither(new_site, order):
    for name in order:
        new_site(name).install(f"{name}-dist", both(["shared", f"own-{name}"]), name=name)
    catalogue = load_plugins()
    (problem,) = catalogue.problems
    assert str(problem) == (
        "plugin aa-dist 1.0: it claims the algorithm name 'shared', as does bb-dist 1.0 (bb); "
        "none of them gets it: rename it, or turn one off with -p no:aa or -p no:bb"
    )
    assert list(catalogue.algorithms) == ["own-aa", "own-bb"]
    with pytest.raises(UsageError, match="'shared' is not available: plugin aa-dist"):
        catalogue.algorithm("shared")
    settled = load_plugins(disabled=["aa"])
    assert not settled.problems
    assert settled.algorithm("shared").plugin == "bb-dist"


def test_many_clashes_of_the_same_plugins_are_one_line(site):
    site.install("fork-one", both(["x", "y"]))
    site.install("fork-two", both(["x", "y"]))
    (problem,) = load_plugins().problems
    assert "it claims the algorithm names 'x', 'y', as does fork-two 1.0;" in str(problem)


def test_first_party_names_cannot_be_taken(site):
    site.metadata("metabench", requires=["click>=8", 'metabench-ours ; extra == "all"'])
    site.install("aa-hijack", both(["protonet", "new-one"]), version="3.1")
    site.install("metabench-ours", algorithm("protonet"))
    catalogue = load_plugins()
    assert catalogue.algorithm("protonet").plugin == "metabench-ours"
    assert catalogue.algorithm("new-one").version == "3.1"
    assert str(catalogue.problems[0]).startswith(
        "plugin aa-hijack 3.1: it claims the algorithm name 'protonet'; it stays with "
        "metabench-ours 1.0: rename it"
    )


def test_the_core_metric_cannot_be_taken(site):
    site.install(
        "hijack",
        """
        @hookimpl
        def metabench_metrics():
            yield MetricInfo(name="accuracy", summary="s", target="a:b",
                             task_kinds=("classification",))
        """,
    )
    catalogue = load_plugins()
    assert catalogue.metric("accuracy").plugin == "metabench"
    assert len(catalogue.problems) == 1


def test_the_same_name_of_two_kinds_is_no_clash(site):
    site.install("one", algorithm("accuracy"))
    assert not load_plugins().problems


def test_two_distributions_with_the_same_entry_point_name(site):
    site.install("aa-dist", algorithm("a"), name="same")
    site.install("bb-dist", algorithm("b"), name="same", version="2.0")
    site.install("cc-dist", algorithm("c"))
    catalogue = load_plugins()
    (problem,) = catalogue.problems
    assert str(problem).startswith("plugin aa-dist 1.0: it claims the plugin name 'same', as does ")
    assert "bb-dist 2.0 (same); none of them gets it" in str(problem)
    assert "-p no:aa-dist or -p no:bb-dist" in str(problem)
    assert list(catalogue.algorithms) == ["c"]
    assert list(load_plugins(disabled=["aa-dist"]).algorithms) == ["b", "c"]


def test_a_distribution_found_twice_is_loaded_once_from_the_first_place(new_site):
    new_site("editable").install("my-plugin", algorithm("new"), version="2.0")
    new_site("wheel").install("my_plugin", algorithm("old"), version="1.0")
    catalogue = load_plugins()
    assert not catalogue.problems
    assert [(p.distribution, p.version) for p in catalogue.plugins[1:]] == [("my-plugin", "2.0")]
    assert list(catalogue.algorithms) == ["new"]


def test_one_distribution_with_two_plugins(site):
    site.install("first", algorithm("first"), module="mod_first")
    folder = site.path / "first-1.0.dist-info"
    (folder / "entry_points.txt").write_text("[metabench]\none = mod_first\ntwo = mod_second\n")
    (site.path / "mod_second.py").write_text((site.path / "mod_first.py").read_text())
    (problem,) = load_plugins().problems
    assert "it claims the algorithm name 'first', as does first 1.0 (two)" in str(problem)
    assert list(load_plugins(disabled=["two"]).algorithms) == ["first"]
    assert not load_plugins(disabled=["first"]).algorithms


def test_results_do_not_depend_on_the_order_of_loading(new_site):
    for name in ("zz", "mm", "aa"):
        new_site(name).install(name, algorithm(f"{name}-algorithm"))
    catalogue = load_plugins()
    assert [p.name for p in catalogue.plugins] == ["metabench", "aa", "mm", "zz"]
    assert list(catalogue.algorithms) == ["aa-algorithm", "mm-algorithm", "zz-algorithm"]


@pytest.fixture
def three(site):
    site.install("aa-dist", algorithm("a"), name="aa")
    site.install("bb-dist", algorithm("b"), name="bb")
    site.install("cc_dist", "raise RuntimeError", name="cc")
    return site


@pytest.mark.parametrize(
    ("disabled", "environment", "expected", "problems"),
    [
        ([], {}, ["a", "b"], 1),
        (["cc"], {}, ["a", "b"], 0),
        (["AA_dist", "cc-dist"], {}, ["b"], 0),
        ([], {"METABENCH_DISABLE_PLUGINS": "bb, cc,not-there"}, ["a"], 0),
        ([], {"METABENCH_DISABLE_PLUGINS": "*"}, [], 0),
        ([], {"METABENCH_PLUGINS": "bb-dist"}, ["b"], 0),
        (["aa"], {"METABENCH_PLUGINS": "aa,bb"}, ["b"], 0),
        ([], {"METABENCH_PLUGINS": "metabench,"}, [], 0),
        ([], {"METABENCH_PLUGINS": ""}, ["a", "b"], 1),
    ],
)
def test_switches(three, monkeypatch, disabled, environment, expected, problems):  # noqa: PLR0917
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    catalogue = load_plugins(disabled=disabled)
    assert list(catalogue.algorithms) == expected
    assert len(catalogue.problems) == problems
    assert "accuracy" in catalogue.metrics


def test_a_disabled_plugin_is_not_imported(site):
    site.install("costly", "raise AssertionError")
    assert not load_plugins(disabled=["costly"]).problems


def test_unknown_names_in_switches(three, monkeypatch):
    with pytest.raises(UsageError, match="unknown plugin 'aa-dits'; did you mean aa-dist"):
        load_plugins(disabled=["aa-dits"])
    with pytest.raises(UsageError, match="metabench itself cannot be turned off"):
        load_plugins(disabled=["metabench"])
    monkeypatch.setenv("METABENCH_PLUGINS", "aa,bb-dits")
    (problem,) = load_plugins().problems
    assert "METABENCH_PLUGINS asks for it: unknown plugin 'bb-dits'" in str(problem)
