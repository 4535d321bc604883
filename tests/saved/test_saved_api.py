"""The verbs in Python say what the commands say."""

import json

import pytest

import metabench
from metabench.errors import UsageError


def test_recommend_is_what_the_command_prints(trained):
    found = metabench.recommend(store=trained.folder / "results", source="blobs", shots=2)
    told, _ = trained("recommend", "--source", "blobs")
    assert str(found) == told.rstrip("\n")
    together = metabench.recommend(
        store=trained.folder / "results", source="blobs", transductive=True
    )
    assert together.compared > found.compared


def test_compare_is_what_the_command_prints(trained):
    found = metabench.compare("protonet", "simpleshot", store=trained.folder / "results")
    told, _ = trained("compare", "protonet", "simpleshot", "--json")
    (expected, *_), (block, *_) = json.loads(told)["blocks"], found.blocks
    assert block.estimate.difference == pytest.approx(expected["estimate"]["difference"])


def test_a_store_without_records_is_named(tmp_path):
    for verb in (metabench.recommend, lambda store: metabench.compare("a", "b", store=store)):
        with pytest.raises(UsageError, match="holds no records"):
            verb(store=tmp_path)
