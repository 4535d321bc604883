"""Records made up for the leaderboard's tests."""

import numpy as np
import pytest

from metabench.leaderboard.evidence import Scored
from metabench.runs.record import Cell, Cost, Failure, Record

FIXED = {
    "domain": "vision",
    "source": "glyphs",
    "task_kind": "classification",
    "encoder": "conv4",
    "encoder_policy": "trainable",
    "algorithm": "protonet",
    "protocol": "quick-5w1s",
    "protocol_digest": "p" * 64,
    "way": "5",
    "shot": "1",
    "metric": "accuracy",
    "chance": 0.2,
    "best": 1.0,
    "seed": 0,
    "inductive": True,
    "plugin": "metabench-algorithms",
    "plugin_version": "0.1.0",
}


@pytest.fixture(scope="session")
def make():
    """Make one scored record; keywords are cell fields, or those of the record named here."""

    def make(
        scores=None,
        *,
        status=None,
        reason="it broke",
        key=None,
        finished="2026-01-01T00:00:00+00:00",
        digest=None,
        key_parts=None,
        cost=None,
        units=None,
        protocol_settings=None,
        training=None,
        **cell,
    ):
        cell = Cell(**FIXED | cell)
        status = status or ("ok" if scores is not None else "failed")
        scores = None if scores is None else np.asarray(scores, dtype=np.float64)
        record = Record(
            key=key or f"{cell.label}/{cell.protocol_digest}",
            key_parts=key_parts or {},
            cell=cell,
            status=status,
            failure=None if status == "ok" else Failure(reason=reason),
            episodes_digest=(f"e{cell.seed}" * 32 if digest is None else digest)
            if scores is not None
            else "",
            cost=cost or Cost(train_seconds=12.3456, adapt_ms_per_task=0.5, parameters=111936),
            training=training or {},
            provenance={"finished": finished, "protocol": protocol_settings or {}},
        )
        return Scored(record, scores, units)

    return make


@pytest.fixture
def rng():
    return np.random.default_rng(0)
