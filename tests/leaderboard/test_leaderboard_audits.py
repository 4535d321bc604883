import pytest
from pydantic import ValidationError

from metabench.leaderboard.audits import (
    AUDIT_COLUMNS,
    Audit,
    Finding,
    audit_path,
    read_audits,
    write_audit,
)
from metabench.leaderboard.build import write_leaderboards
from metabench.leaderboard.csvfile import read_csv

CODE = {"name": "protonet", "options": {}, "version": "0.1.0", "code": "c" * 64}
LEAK = Finding(check="query-independence", outcome="violated", detail="one by one 0.31", value=0.31)
FINE = Finding(check="determinism", outcome="passed", value=0.0)


def audit_of(*findings, algorithm=None, **changes):
    values = {
        "algorithm": algorithm or CODE,
        "source": "glyphs",
        "source_digest": "s",
        "task_kind": "classification",
        "encoder": "conv4",
        "protocol": "quick-5w5s",
        "protocol_digest": "p",
        "seed": 0,
        "plugin": "metabench-algorithms",
        "plugin_version": "0.1.0",
        "findings": findings,
    }
    return Audit(**{**values, **changes})


@pytest.fixture
def scored(make, rng):
    def record(source, code, algorithm="protonet", **cell):
        parts = {"algorithm": {**CODE, "name": algorithm, "code": code}}
        return make(
            rng.normal(0.6, 0.1, 30), source=source, key_parts=parts, algorithm=algorithm, **cell
        )

    return [
        record("glyphs", "c" * 64),
        record("digits", "c" * 64),
        record("omniglot", "d" * 64),
        record("glyphs", "c" * 64, "simpleshot"),
        record("glyphs", "t" * 64, "tim", inductive=False),
    ]


def inductive(written):
    rows = read_csv(written.domains["vision"])
    return {(r["source"], r["algorithm"]): (r["inductive"], r["reason"]) for r in rows}


def test_without_audits_nothing_changes(scored, tmp_path):
    written = write_leaderboards(scored, tmp_path)
    assert written.audit is None
    assert not (tmp_path / "audit.csv").exists()
    found = inductive(written)
    assert found["glyphs", "protonet"] == ("true", "")
    assert found["glyphs", "tim"] == ("false", "")


def test_a_leak_marks_the_rows_of_the_same_code(scored, tmp_path):
    written = write_leaderboards(scored, tmp_path, [audit_of(FINE, LEAK)])
    said = "audit: query-independence violated on glyphs/conv4: one by one 0.31"
    assert inductive(written) == {
        ("glyphs", "protonet"): ("false", said),
        ("digits", "protonet"): ("false", said),
        ("omniglot", "protonet"): ("true", ""),
        ("glyphs", "simpleshot"): ("true", ""),
        ("glyphs", "tim"): ("false", ""),
    }
    assert written.paths[-1] == written.audit


@pytest.mark.parametrize("outcome", ["passed", "declared", "inapplicable"])
def test_only_a_violated_query_independence_counts(scored, tmp_path, outcome):
    other = FINE.model_copy(update={"outcome": "violated"})
    audit = audit_of(other, LEAK.model_copy(update={"outcome": outcome}))
    assert inductive(write_leaderboards(scored, tmp_path, [audit]))["glyphs", "protonet"] == (
        "true",
        "",
    )


def test_audit_file_has_a_row_per_check(scored, tmp_path):
    other_code = audit_of(LEAK, algorithm={**CODE, "code": "e" * 64})
    audits = [audit_of(FINE, LEAK), audit_of(FINE, encoder="pixels"), other_code]
    rows = read_csv(write_leaderboards(scored, tmp_path, audits).audit)
    assert tuple(rows[0]) == AUDIT_COLUMNS
    assert [(r["encoder"], r["check"], r["outcome"], r["value"]) for r in rows] == [
        ("conv4", "determinism", "passed", "0.000000"),
        ("conv4", "query-independence", "violated", "0.310000"),
        ("pixels", "determinism", "passed", "0.000000"),
    ]
    assert {row["code"] for row in rows} == {audits[0].code}


def test_an_outdated_audit_file_is_emptied(scored, tmp_path):
    write_leaderboards(scored, tmp_path, [audit_of(LEAK)])
    written = write_leaderboards(scored, tmp_path, [])
    assert read_csv(written.audit) == []


def test_audits_are_kept_once_per_code_source_and_encoder(tmp_path):
    first = audit_of(LEAK, encoder="hf-text:some/model")
    write_audit(tmp_path, first)
    second = first.model_copy(update={"findings": (FINE,)})
    assert write_audit(tmp_path, second) == audit_path(tmp_path, first)
    newer = audit_of(FINE, algorithm={**CODE, "code": "e" * 64})
    write_audit(tmp_path, newer)
    found, problems = read_audits(tmp_path)
    assert sorted(found, key=str) == sorted([second, newer], key=str)
    assert problems == []
    assert all(path.parent == tmp_path / "audits" for path in tmp_path.rglob("*.json"))


def test_damaged_audits_are_told_and_passed_over(tmp_path):
    path = write_audit(tmp_path, audit_of(FINE))
    path.write_text(path.read_text()[:40])
    found, (problem,) = read_audits(tmp_path)
    assert found == []
    assert str(path) in problem
    assert read_audits(tmp_path / "nowhere") == ([], [])


def test_values_are_finite():
    with pytest.raises(ValidationError):
        Finding(check="determinism", outcome="violated", value=float("inf"))
