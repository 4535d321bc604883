"""What a descriptor may say, and how entries are looked up."""

import dataclasses
import re

import pytest
from fake_plugins import algorithm

from metabench.errors import UsageError
from metabench.hookspecs import (
    AlgorithmInfo,
    DataFile,
    EncoderInfo,
    MetricInfo,
    ReaderInfo,
    TaskSourceInfo,
)
from metabench.registry.checks import descriptor_faults
from metabench.registry.discovery import load_plugins

COMMON = {"name": "a-name.1_x", "summary": "a line, déjà vu", "target": "pkg.mod:Name"}
SOURCE = TaskSourceInfo(
    **COMMON,
    domain="vision",
    modality="image",
    files=(DataFile(path="a/b.zip", url="https://x.org/b.zip", sha256="0" * 64),),
    suites={"quick": {"way": 3}},
    requires=("PIL.Image",),
    options={"n": 1, "names": ("a", "b")},
)
ENCODER = EncoderInfo(**COMMON, modalities=("*",), trainable=False, argument="id or path")
ALGORITHM = AlgorithmInfo(**COMMON, recipe="pkg.recipes:Mine", task_kinds=("binary", "regression"))
READER = ReaderInfo(**COMMON, domain="vision", modality="image", suffixes=(".png", ".nii.gz"))
METRIC = MetricInfo(**COMMON, task_kinds=("classification",), chance="1/way")


@pytest.mark.parametrize("info", [SOURCE, ENCODER, ALGORITHM, METRIC, READER])
def test_valid_descriptors(info):
    assert descriptor_faults(info) == []


@pytest.mark.parametrize(
    ("info", "field", "value"),
    [
        (ALGORITHM, "name", "Upper"),
        (ALGORITHM, "name", "-dash"),
        (ALGORITHM, "name", "name:argument"),
        (ALGORITHM, "name", "a/b"),
        (ALGORITHM, "name", "newline\n"),
        (ALGORITHM, "name", ""),
        (ALGORITHM, "name", 3),
        (ALGORITHM, "summary", ""),
        (ALGORITHM, "summary", "  "),
        (ALGORITHM, "summary", "two\nlines"),
        (ALGORITHM, "summary", "\x1b[31mred"),
        (ALGORITHM, "summary", None),
        (ALGORITHM, "target", "pkg.mod"),
        (ALGORITHM, "target", "pkg.mod:"),
        (ALGORITHM, "target", "pkg..mod:Name"),
        (ALGORITHM, "target", "pkg.mod:Name()"),
        (ALGORITHM, "target", object),
        (ALGORITHM, "citation", "a\nb"),
        (ALGORITHM, "options", {"f": print}),
        (ALGORITHM, "options", {"x": float("nan")}),
        (ALGORITHM, "options", {1: 2}),
        (READER, "suffixes", ("png",)),
        (READER, "suffixes", (".PNG",)),
        (READER, "suffixes", ".png"),
        (READER, "suffixes", ()),
        (READER, "role", "My Text"),
        (READER, "modality", ""),
        (ALGORITHM, "requires", "torch"),
        (ALGORITHM, "requires", ["torch"]),
        (ALGORITHM, "task_kinds", ("clasification",)),
        (ALGORITHM, "task_kinds", ()),
        (ALGORITHM, "task_kinds", "binary"),
        (ALGORITHM, "inductive", 1),
        (ALGORITHM, "uses_encoder", "no"),
        (ALGORITHM, "recipe", "episodical"),
        (ALGORITHM, "suites", "quick"),
        (SOURCE, "domain", "Vision"),
        (SOURCE, "modality", ""),
        (SOURCE, "task_kind", "ranking"),
        (SOURCE, "metric", "=cmd"),
        (SOURCE, "synthetic", None),
        (SOURCE, "suites", ("quick",)),
        (SOURCE, "suites", {"quick": 3}),
        (SOURCE, "files", [DataFile(path="x")]),
        (SOURCE, "files", (DataFile(path="/etc/passwd"),)),
        (SOURCE, "files", (DataFile(path="a/../../b"),)),
        (SOURCE, "files", (DataFile(path="C:\\x"),)),
        (SOURCE, "files", (DataFile(path=""),)),
        (SOURCE, "files", (DataFile(path="x", url="file:///etc/passwd"),)),
        (SOURCE, "files", (DataFile(path="x", sha256="ABC"),)),
        (ENCODER, "modalities", ()),
        (ENCODER, "modalities", "image"),
        (ENCODER, "modalities", ("*", "image")),
        (ENCODER, "trainable", "yes"),
        (ENCODER, "argument", None),
        (ENCODER, "libraries", ("scikit-learn",)),
        (ALGORITHM, "argument", "two\nlines"),
        (ALGORITHM, "libraries", "sklearn"),
        (METRIC, "best", float("inf")),
        (METRIC, "best", True),
        (METRIC, "chance", "1/2"),
        (METRIC, "chance", 1.0),
    ],
)
def test_invalid_fields(info, field, value):
    (fault,) = descriptor_faults(dataclasses.replace(info, **{field: value}))
    assert field.removesuffix("s") in fault


def test_contradictory_flags():
    info = dataclasses.replace(ALGORITHM, adapts_encoder=True, uses_encoder=False)
    assert descriptor_faults(info) == ["adapts_encoder is set and uses_encoder is not"]


CONTENT = """
    @hookimpl
    def metabench_task_sources():
        for name, metric in (("zeta", "accuracy"), ("alpha", "accuracy"), ("lost", "no-such")):
            yield TaskSourceInfo(name=name, summary="s", target="a:b", domain=name[0] + "-domain",
                                 modality="image", metric=metric)
        yield TaskSourceInfo(name="curve", summary="s", target="a:b", domain="control",
                             modality="image", task_kind="regression")
    @hookimpl
    def metabench_encoders():
        yield EncoderInfo(name="plain", summary="s", target="a:b", modalities=("image",),
                          trainable=True)
        yield EncoderInfo(name="hf-text", summary="s", target="a:b", modalities=("text",),
                          trainable=False, argument="model id or path")
"""


@pytest.fixture
def catalogue(site):
    site.install("content", CONTENT + algorithm("learner"))
    return load_plugins()


def test_mappings_are_sorted_and_read_only(catalogue):
    assert list(catalogue.sources) == ["alpha", "zeta"]
    assert catalogue.domains == ("a-domain", "z-domain")
    assert catalogue.plugins[1].provides == {
        "sources": 2, "encoders": 2, "algorithms": 1, "metrics": 0, "readers": 0,
        "observers": 0,
    }  # fmt: skip
    with pytest.raises(TypeError):
        catalogue.sources["x"] = None


def test_sources_without_a_metric_are_left_out(catalogue):
    lines = [str(problem) for problem in catalogue.problems]
    assert len(lines) == 2
    assert "source 'curve' is scored by 'accuracy', which does not score regression" in lines[0]
    assert "source 'lost' is scored by 'no-such', which no plugin provides" in lines[1]
    with pytest.raises(UsageError, match="'lost' is not available"):
        catalogue.source("lost")


def test_look_up(catalogue):
    assert catalogue.source("zeta").info.domain == "z-domain"
    assert catalogue.encoder("plain").info.name == "plain"
    assert catalogue.encoder("hf-text:some/path:1").info.name == "hf-text"
    assert (catalogue.algorithm("learner").plugin, catalogue.algorithm("learner").version) == (
        "content",
        "1.0",
    )


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("source", "zetta", "unknown source 'zetta'; did you mean zeta?"),
        ("encoder", "plane", "unknown encoder 'plane'; did you mean plain?"),
        ("encoder", "hf-txt:x", "unknown encoder 'hf-txt'; did you mean hf-text?"),
        ("encoder", "hf-text", "needs an argument: hf-text:<model id or path>"),
        ("encoder", "hf-text:", "needs an argument: hf-text:<model id or path>"),
        ("encoder", "plain:x", "plain takes no argument"),
        ("encoder", "plain:", "plain takes no argument"),
        ("algorithm", "qqq", "unknown algorithm 'qqq'; known: learner"),
        ("metric", "acuracy", "did you mean accuracy or auroc?"),
    ],
)
def test_look_up_errors(catalogue, kind, name, message):
    with pytest.raises(UsageError) as caught:
        getattr(catalogue, kind)(name)
    assert message in str(caught.value)


def test_a_source_may_bring_every_protocol_setting_but_the_derived_ones():
    from metabench.hookspecs import PROTOCOL_SETTINGS
    from metabench.runs.protocol import Protocol
    from metabench.runs.suite import DERIVED

    assert set(Protocol.model_fields) - DERIVED == PROTOCOL_SETTINGS


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"suites": {"quick": {"shots": 5}}}, r"suites\['quick'\] has shots 5, which is no list"),
        ({"suites": {"quick": {"shot": [5]}}}, r"unknown setting 'shot'; did you mean shots\?"),
        ({"protocol": {"shots": [5]}}, "protocol has the unknown setting 'shots'"),
        ({"protocol": {"draw": 5}}, "unknown setting 'draw'; did you mean draws"),
        ({"other_metrics": ["auroc"]}, "other_metrics .* is not a tuple of names"),
    ],
)
def test_settings_of_a_source_are_checked_when_it_is_loaded(fields, fault):
    info = TaskSourceInfo(name="s", summary="s", target="a:b", domain="d", modality="m", **fields)
    assert any(re.search(fault, found) for found in descriptor_faults(info))
