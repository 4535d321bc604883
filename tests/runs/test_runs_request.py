"""Requests, from Python."""

import pytest

import metabench
from metabench.errors import UsageError
from metabench.runs.request import RunRequest


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"domain": ["toy"]}, "metabench.run: unknown key 'domain'; did you mean domains"),
        ({"domains": {"toy": 1}}, "domains = {'toy': 1}: input should be a valid tuple"),
        ({"seeds": "a"}, "seeds = 'a': input should be a valid integer"),
        ({"seeds": [-1]}, "seeds = -1: input should be greater than or equal to 0"),
        ({"jobs": 0}, "jobs = 0: input should be greater than or equal to 1"),
        ({"episodes": 0}, "episodes = 0: input should be"),
        ({"timeout": float("nan")}, "timeout = nan: input should be"),
        ({"shard": (3, 2)}, "shard = (3, 2): a shard is (i, n) with 1 <= i <= n"),
        ({"precision": "fp16"}, "precision = 'fp16': input should be 'fp32' or 'bf16'"),
    ],
)
def test_a_mistake_is_one_line(request_, said):
    with pytest.raises(UsageError) as error:
        metabench.run(**request_)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_data_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("METABENCH_DATA", "/no/such/folder")
    with pytest.raises(UsageError, match="'/no/such/folder' is no folder"):
        metabench.run()


def test_a_request_survives_the_store():
    request = RunRequest(domains=("a",), shots=(1, "uneven"), way="5-50", shard=(1, 2), data="/x")
    assert RunRequest.model_validate_json(request.model_dump_json()) == request


def test_a_bare_value_is_a_list_of_one():
    request = RunRequest(algorithms="simpleshot", shots=1, seeds=0, sources="blobs", targets="t")
    assert request.algorithms == ("simpleshot",)
    assert (request.shots, request.seeds) == ((1,), (0,))
    assert (request.sources, request.targets) == (("blobs",), ("t",))
    assert RunRequest(shots="uneven").shots == ("uneven",)
