"""Where each algorithm is examined, and what becomes of the findings."""

from types import SimpleNamespace as Part

import pytest

from metabench.errors import UsageError
from metabench.leaderboard.audits import Audit, Finding
from metabench.runs.outcomes import Verdict
from metabench.runs.request import RunRequest
from metabench.testing.audit import AuditResult, NotAudited, choose
from metabench.testing.names import CHECKS, MEASURED, known_checks
from metabench.testing.report import COLUMNS, details, legend, summary, table_rows

TRAINABLE = {"conv4": True, "mlp": True, "pixels": False}


def draft(source, encoder, shot=5, *, algorithm="protonet", seed=0, verdict=None):
    kind = "regression" if source == "waves" else "classification"
    return Part(
        algorithm=Part(name=algorithm),
        source=Part(name=source, info=Part(task_kind=kind)),
        encoder=encoder and Part(name=encoder, info=Part(trainable=TRAINABLE[encoder])),
        protocol=Part(shot=shot),
        seed=seed,
        verdict=verdict,
    )


DRAFTS = [
    draft("alpha", "pixels"),
    draft("beta", "pixels"),
    draft("beta", "conv4", 1),
    draft("beta", "conv4", 5, seed=1),
    draft("beta", "conv4", 5),
    draft("beta", "conv4", "uneven"),
    draft("gamma", "conv4"),
    draft("waves", "mlp"),
]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, [("beta", "conv4", 5), ("waves", "mlp", 5)]),
        ({"sources": ("alpha", "beta", "gamma", "waves")},
         [("alpha", "pixels", 5), ("beta", "conv4", 5), ("gamma", "conv4", 5),
          ("waves", "mlp", 5)]),
        ({"encoders": ("conv4", "pixels", "mlp")},
         [("alpha", "pixels", 5), ("beta", "conv4", 5), ("waves", "mlp", 5)]),
    ],
)  # fmt: skip
def test_one_place_for_each_kind_or_what_was_named(request_, expected):
    chosen, left_out = choose(DRAFTS, RunRequest(**request_))
    assert [(d.source.name, d.encoder.name, d.protocol.shot) for d in chosen] == expected
    assert {d.seed for d in chosen} == {0}
    assert left_out == []


def test_an_algorithm_that_fits_nowhere_is_left_out_with_the_reason():
    verdict = Verdict("inapplicable", "maml does classification, not regression")
    drafts = [
        *DRAFTS,
        draft("waves", "mlp", verdict=verdict),
        draft("waves", "mlp", algorithm="maml", verdict=verdict),
    ]
    chosen, left_out = choose(drafts, RunRequest())
    assert {d.algorithm.name for d in chosen} == {"protonet"}
    assert left_out == [NotAudited("waves/mlp/maml", "inapplicable", verdict.reason)]


def audit_of(*findings):
    return Audit(
        algorithm={"name": "tim"}, source="glyphs", source_digest="", task_kind="classification",
        encoder="conv4", protocol="p", protocol_digest="", seed=0, plugin="x", plugin_version="1",
        findings=findings,
    )  # fmt: skip


def test_report():
    audit = audit_of(
        Finding(check="query-independence", outcome="declared", detail="much"),
        Finding(check="determinism", outcome="violated", detail="differ by 0.5"),
        Finding(check="unchanged-weights", outcome="passed"),
        Finding(check="balanced-queries", outcome="measured", value=0.9),
        Finding(check="unbalanced-queries", outcome="measured", value=0.8),
    )
    left_out = NotAudited("glyphs/conv4/dead", "killed", "the worker was ended")
    result = AuditResult((audit,), (left_out,))
    (row,) = table_rows(result)
    assert len(row) == len(COLUMNS)
    assert row == ("tim", "said", "-", "-", "BAD", "ok", "-", "-", "-", "glyphs conv4")
    assert list(details(result)) == [
        "glyphs/conv4/tim: accuracy 0.9000 with balanced queries, 0.8000 with unbalanced ones",
        "glyphs/conv4/dead is not audited: killed: the worker was ended",
        "glyphs/conv4/tim: determinism VIOLATED: differ by 0.5",
    ]
    assert summary(result) == "1 audit: 1 violation"
    assert len(list(legend())) == len(CHECKS) + 1


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        ("passed", "inapplicable", 0),
        ("declared", "unavailable", 0),
        ("violated", "inapplicable", 1),
        ("passed", "failed", 1),
        ("passed", "killed", 1),
    ],
)
def test_exit_code(outcome, status, code):
    audit = audit_of(Finding(check="determinism", outcome=outcome))
    assert AuditResult((audit,), (NotAudited("x", status, ""),)).exit_code == code


def test_checks_by_name():
    assert known_checks(()) == (*CHECKS, *MEASURED)
    assert known_checks(["determinism", "determinism"]) == ("determinism",)
    with pytest.raises(UsageError, match="unknown check 'memory'"):
        known_checks(["memory"])
