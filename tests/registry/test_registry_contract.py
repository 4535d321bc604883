"""Plugins written against today's plugin API keep working when it grows, and are told if not."""

import dataclasses
import inspect
import types
import warnings

import pytest
from fake_plugins import algorithm

from metabench import hookspecs
from metabench.errors import MetabenchError
from metabench.hookspecs import API_VERSION, AlgorithmInfo, hookspec
from metabench.registry import contract, loading
from metabench.registry.discovery import load_plugins

MAJOR, MINOR = map(int, API_VERSION.split("."))

HOOKS_OF_1_0 = {
    "metabench_task_sources": set(),
    "metabench_encoders": set(),
    "metabench_algorithms": set(),
    "metabench_metrics": set(),
    "metabench_run_started": {"cells", "store"},
    "metabench_cell_finished": {"record"},
    "metabench_run_finished": {"store", "tables"},
}
COMMON = {"name", "summary", "target", "citation", "licence", "options", "requires"}
FIELDS_OF_1_0 = {
    "TaskSourceInfo": {
        *COMMON, "domain", "modality", "task_kind", "metric", "other_metrics", "files",
        "synthetic", "protocol", "suites",
    },
    "EncoderInfo": {*COMMON, "modalities", "trainable", "feature_map", "argument", "suites"},
    "AlgorithmInfo": {
        *COMMON, "task_kinds", "inductive", "adapts_encoder", "uses_encoder", "features", "recipe",
        "suites",
    },
    "MetricInfo": {*COMMON, "task_kinds", "best", "chance"},
    "DataFile": {"path", "url", "sha256"},
}  # fmt: skip
REQUIRED_IN_1_0 = {
    "TaskSourceInfo": {"name", "summary", "target", "domain", "modality"},
    "EncoderInfo": {"name", "summary", "target", "modalities", "trainable"},
    "AlgorithmInfo": {"name", "summary", "target"},
    "MetricInfo": {"name", "summary", "target", "task_kinds"},
    "DataFile": {"path"},
}


@pytest.mark.skipif(MAJOR != 1, reason="a new major version may remove")
def test_everything_of_version_1_0_is_still_there():
    """Whoever removes something deprecates it first, raises the version, and edits these tables."""
    for hook, arguments in HOOKS_OF_1_0.items():
        assert arguments <= set(inspect.signature(getattr(hookspecs, hook)).parameters), hook
    for name, known in FIELDS_OF_1_0.items():
        fields = {field.name: field for field in dataclasses.fields(getattr(hookspecs, name))}
        assert known <= set(fields), name
        missing = dataclasses.MISSING
        required = {
            n for n, f in fields.items() if f.default is missing and f.default_factory is missing
        }
        assert required == REQUIRED_IN_1_0[name], f"{name} asks old plugins for a new field"


@pytest.fixture
def changed(monkeypatch):
    """Lets the loader see hook specifications that differ in some names."""

    def change(**names):
        other = types.ModuleType("other_hookspecs")
        other.__dict__.update(vars(hookspecs), **names)
        monkeypatch.setattr(loading, "hookspecs", other)

    return change


@pytest.mark.parametrize("declared", [API_VERSION, f"{MAJOR}.0"])
def test_a_version_that_is_offered_is_accepted(site, declared):
    site.install("fine", f"    metabench_api = {declared!r}\n" + algorithm("fine"))
    catalogue = load_plugins()
    assert (list(catalogue.algorithms), catalogue.problems) == (["fine"], ())


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (f"{MAJOR}.{MINOR + 1}", "update metabench, or hide it with -p no:picky"),
        (f"{MAJOR + 1}.0", "update metabench, or hide"),
        ("0.9", "it is left out: update it, or hide"),
        (1.0, "its metabench_api is 1.0, which is no version of the plugin API"),
        ("one", "write MAJOR.MINOR as text, such as"),
    ],
)
def test_a_version_that_is_not_offered_is_one_line(site, declared, expected):
    """It is said before a hook that is not known, which is but a consequence."""
    site.install(
        "picky",
        f"metabench_api = {declared!r}\n@hookimpl\ndef metabench_sorcery(): return []",
    )
    (problem,) = load_plugins().problems
    assert expected in str(problem)
    if isinstance(declared, str) and declared != "one":
        assert f"plugin API {declared}, and metabench 0." in str(problem)
        assert f"has plugin API {API_VERSION}" in str(problem)


def test_an_import_of_a_later_name_is_explained(site):
    site.install("later", "from metabench.hookspecs import SorceryInfo")
    (problem,) = load_plugins().problems
    assert "cannot import name 'SorceryInfo'" in str(problem)
    assert f"a later plugin API than {API_VERSION}" in str(problem)


def test_hooks_may_gain_arguments(site, changed):
    site.install(
        "old",
        """
        seen = []
        @hookimpl
        def metabench_run_started(cells, store):
            seen.append((cells, store))
        @hookimpl
        def metabench_algorithms():
            yield AlgorithmInfo(name="old", summary="s", target="a:b")
        """,
    )

    @hookspec
    def metabench_run_started(cells, store, suite):
        """Say more than in version 1.0."""

    changed(metabench_run_started=metabench_run_started)
    catalogue = load_plugins()
    catalogue.notify("metabench_run_started", cells=3, store="here", suite="quick")
    assert __import__("old").seen == [(3, "here")]
    assert list(catalogue.algorithms) == ["old"]
    assert catalogue.problems == ()


def test_descriptors_may_gain_fields(site, monkeypatch):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Grown(AlgorithmInfo):
        colour: str = "none"

    monkeypatch.setattr(hookspecs, "AlgorithmInfo", Grown)
    monkeypatch.setitem(loading.HOOKS, "metabench_algorithms", ("algorithm", Grown))
    site.install("old", algorithm("old", recipe="none"))
    catalogue = load_plugins()
    assert catalogue.algorithm("old").info.colour == "none"
    assert catalogue.problems == ()


OLD_STYLE = """
    @hookimpl
    def metabench_run_started(cells, store): pass
    @hookimpl
    def metabench_run_finished(store): pass
"""


@pytest.fixture
def deprecating(changed):
    @hookspec(warn_on_impl=DeprecationWarning("metabench_run_started goes in plugin API 1.2"))
    def metabench_run_started(cells, store):
        """Be on the way out."""

    @hookspec(warn_on_impl_args={"store": DeprecationWarning("its argument store goes in 1.2")})
    def metabench_run_finished(store, tables):
        """Lose an argument soon."""

    changed(
        metabench_run_started=metabench_run_started, metabench_run_finished=metabench_run_finished
    )


def test_what_will_be_removed_is_a_line_once_and_still_works(site, deprecating, recwarn):
    site.install("old", OLD_STYLE + algorithm("old"))
    catalogue = load_plugins()
    assert {(p.message, p.notice) for p in catalogue.problems} == {
        ("metabench_run_started goes in plugin API 1.2", True),
        ("its argument store goes in 1.2", True),
    }
    assert len(catalogue.problems) == 2
    provided = catalogue.plugins[-1].provides
    assert (provided["algorithms"], provided["observers"]) == (1, 2)
    assert not list(recwarn)


def test_warnings_as_errors_cost_no_plugin(site, deprecating):
    site.install("old", OLD_STYLE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load_plugins().plugins) == 2


def test_a_notice_is_nothing_to_be_strict_about(site, deprecating):
    site.install("old", OLD_STYLE)
    assert len(load_plugins(strict=True).problems) == 2
    site.install("broken", "raise ValueError('b')")
    with pytest.raises(MetabenchError) as caught:
        load_plugins(strict=True)
    assert str(caught.value).startswith("plugin broken 1.0: ")
    assert len(str(caught.value).splitlines()) == 1


def test_a_field_that_will_be_removed_warns_whoever_sets_it(site, monkeypatch):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Shrinking(AlgorithmInfo):
        colour: str = dataclasses.field(default="", metadata={"deprecated": "say it in options"})

    monkeypatch.setattr(hookspecs, "AlgorithmInfo", Shrinking)
    monkeypatch.setitem(loading.HOOKS, "metabench_algorithms", ("algorithm", Shrinking))
    site.install("old", algorithm("old", colour="red"))
    site.install("plain", algorithm("plain"))
    catalogue = load_plugins()
    assert list(catalogue.algorithms) == ["old", "plain"]
    (problem,) = catalogue.problems
    assert str(problem) == (
        "plugin old 1.0: the field 'colour' of Shrinking is deprecated: say it in options"
    )


def test_the_version_is_well_formed():
    assert contract.VERSION.fullmatch(API_VERSION)
    assert f'metabench_api = "{API_VERSION}"' in hookspecs.__doc__
