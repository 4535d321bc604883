"""Tables made up for the tests of the site."""

import hashlib

import numpy as np

from metabench.leaderboard.evidence import Scored
from metabench.leaderboard.overall import build_overall
from metabench.leaderboard.tables import build_tables
from metabench.runs.record import Cell, Cost, Failure, Record
from metabench.site.build import write_site

HOSTILE = (
    "<script>document.title='owned'</script>",
    "=cmd|'/C calc'!A0",
    "\"quoted' & <b>bold</b>",
    "abc\u202edef",
    "אלגוריתם",
    "$x_1$ %s {{ 1 }}",
    "</title></svg><img src=x onerror=alert(1)>",
)


def scored(scores=None, *, status="ok", training=None, other=None, key_parts=None, **cell):
    """One record with its scores; a cell without scores failed."""
    fixed = {
        "domain": "vision", "source": "glyphs", "task_kind": "classification",
        "encoder": "conv4", "encoder_policy": "trainable", "algorithm": "protonet",
        "protocol": "quick-5w1s", "way": "5", "shot": "1", "metric": "accuracy",
        "chance": 0.2, "best": 1.0, "seed": 0, "inductive": True,
        "plugin": "metabench-algorithms", "plugin_version": "0.1.0",
    }  # fmt: skip
    cell = fixed | cell
    digest = hashlib.sha256(f"{cell['protocol']}{cell['source']}".encode()).hexdigest()
    cell = Cell(**{"protocol_digest": digest} | cell)
    ok = scores is not None
    size = len(cell.algorithm)
    record = Record(
        key=hashlib.sha256(f"{cell.label}{cell.protocol_digest}".encode()).hexdigest(),
        key_parts=key_parts or {"algorithm": {"name": cell.algorithm, "code": "c0de"}},
        cell=cell,
        status="ok" if ok else (status if status != "ok" else "failed"),
        failure=None if ok else Failure(reason=f"it broke: {cell.algorithm}"),
        mean=float(np.nan_to_num(scores).mean()) if ok else None,
        episodes=len(scores) if ok else 0,
        episodes_digest=f"{digest[:60]}{cell.seed}" if ok else "",
        other_metrics=other or {},
        cost=Cost(train_seconds=1.5 * size, adapt_ms_per_task=0.1 * size, parameters=1000 * size)
        if ok
        else Cost(),
        training=training
        or {"curve": [[100, 1.2, 0.4], [200, 0.8, 0.5]], "setup": {"recipe": "episodic"}},
        provenance={"finished": "2026-01-01T00:00:00+00:00", "torch": "2.13"},
    )
    return Scored(record, None if scores is None else np.asarray(scores, dtype=np.float64))


def many(algorithms, *, sources=(("vision", "glyphs"),), shots=(1, 5), seeds=1, episodes=20):
    """Every algorithm with two encoders on every source under one protocol per shot."""
    rng = np.random.default_rng(0)
    for domain, source in sources:
        for shot in shots:
            for seed in range(seeds):
                hard = rng.normal(0, 0.05, episodes)
                for encoder, policy in (("conv4", "trainable"), ("pixels", "frozen")):
                    for place, algorithm in enumerate(algorithms):
                        level = 0.4 + 0.4 * place / len(algorithms) + 0.02 * shot
                        yield scored(
                            np.clip(level + hard + rng.normal(0, 0.05, episodes), 0, 1),
                            domain=domain,
                            source=source,
                            encoder=encoder,
                            encoder_policy=policy,
                            algorithm=algorithm,
                            shot=str(shot),
                            protocol=f"quick-5w{shot}s",
                            seed=seed,
                            inductive=place % 3 != 0,
                        )


def ordinary():
    """A small store with all that a page must cope with."""
    algorithms = ("protonet", "maml", "tim", "ridge-probe")
    yield from many(algorithms, sources=(("vision", "glyphs"), ("nlp", "intents")), seeds=2)
    yield scored(None, algorithm="broken", domain="nlp", source="intents")
    yield scored(None, status="inapplicable", algorithm="gp", domain="nlp", source="intents")
    rng = np.random.default_rng(1)
    for place, algorithm in enumerate(("gp", "maml", "cnp")):
        yield scored(
            rng.normal(0.5 + 0.3 * place, 0.2, 30), domain="control", source="sinusoid",
            task_kind="regression", metric="nmse", chance=1.0, best=0.0, way="1", shot="10",
            protocol="quick-10s", algorithm=algorithm, encoder="mlp",
            other={"r2": 0.5, "nmse (inside)": 0.25},
        )  # fmt: skip
    yield scored(
        np.full(30, 1.0), domain="control", source="sinusoid", task_kind="regression",
        metric="nmse", chance=1.0, best=0.0, way="1", shot="10", protocol="quick-10s",
        algorithm="chance", encoder="none", encoder_policy="none",
    )  # fmt: skip


def hostile():
    """Names that would be markup, formulas, templates or mathematics if they were not text."""
    yield from many((*HOSTILE, "protonet"))


def write(records, out, audits=()):
    """Write the site of some records; return the tables."""
    tables = build_tables(records)
    write_site(tables, build_overall(tables), out, audits)
    return tables
