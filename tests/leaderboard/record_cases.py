"""Records that agree with themselves, and stores made of them."""

import json

import numpy as np

from metabench.runs.record import Cell, Cost, Failure, Record, digest_of
from metabench.runs.store import Store

PROTOCOL = {
    "name": "quick-5w1s", "version": 1, "way": 5, "shot": 1, "query": 15, "episodes": 30,
    "budget": 1000, "metric": "accuracy", "engine": 1,
}  # fmt: skip
QUERIES = 20


def classified(rng, level, episodes=30):
    """Arrays of a classifier that is right as often as ``level`` says, and now and then tied."""
    targets = rng.integers(0, 5, episodes * QUERIES)
    right = rng.uniform(size=targets.size) < level
    predictions = np.where(right, targets, (targets + 1) % 5).astype(np.int16)
    credit = np.where(right, 1.0, 0.0).astype(np.float32)
    credit[:3] = 0.5  # two classes tie
    return {
        "scores": credit.reshape(episodes, QUERIES).astype(np.float64).mean(1),
        "predictions": predictions,
        "credit": credit,
        "targets": targets,
        "offsets": np.arange(episodes + 1) * QUERIES,
        "units": np.empty(0, np.int64),
    }


def record_of(
    arrays=None,
    *,
    protocol=None,
    status=None,
    code="c" * 64,
    data="d" * 64,
    episodes_digest=None,
    provenance=None,
    cost=None,
    **cell,
):
    """One record; keywords are cell fields, or those named here."""
    settings = PROTOCOL | (protocol or {})
    digest = digest_of({name: value for name, value in settings.items() if name != "name"})
    fields = {
        "domain": "vision", "source": "glyphs", "task_kind": "classification",
        "encoder": "conv4", "encoder_policy": "trainable", "algorithm": "protonet",
        "protocol": settings["name"], "protocol_digest": digest, "way": "5", "shot": "1",
        "metric": "accuracy", "chance": 0.2, "best": 1.0, "seed": 0, "inductive": True,
        "plugin": "metabench-algorithms", "plugin_version": "0.1.0",
    }  # fmt: skip
    cell = Cell(**fields | cell)
    parts = {
        "protocol": digest,
        "source": {"name": cell.source, "digest": data},
        "encoder": {"name": cell.encoder, "code": "e" * 64},
        "algorithm": {"name": cell.algorithm, "code": code},
        "metric": {"name": cell.metric},
        "precision": "fp32",
        "seed": cell.seed,
    }
    status = status or ("failed" if arrays is None else "ok")
    scores = None if arrays is None else arrays["scores"]
    return Record(
        key=digest_of(parts),
        key_parts=parts,
        cell=cell,
        status=status,
        failure=None if status == "ok" else Failure(reason="it broke"),
        mean=None if scores is None else float(np.nanmean(scores)),
        episodes=0 if scores is None else int((~np.isnan(scores)).sum()),
        undefined_episodes=0 if scores is None else int(np.isnan(scores).sum()),
        episodes_digest=""
        if scores is None
        else episodes_digest or digest_of([data, digest, cell.seed]),
        cost=cost or Cost(train_seconds=1.0, adapt_ms_per_task=0.5, examples_seen=1000),
        provenance={
            "metabench": "0.1.0", "torch": "2.9.0", "platform": "Linux", "processor": "A CPU",
            "device": "cpu", "encoder": "metabench-vision 0.1.0",
            "source": "metabench-vision 0.1.0", "protocol": settings,
            "started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:01:00+00:00",
            **(provenance or {}),
        },
    )  # fmt: skip


def put(root, arrays=None, **fields):
    """Write a record to a store and return its path."""
    store = Store(root)
    kept = store.put(record_of(arrays, **fields), arrays)
    return store.path(kept.cell, kept.key)


def make_store(root, rng, algorithms=("protonet", "maml", "tim"), seeds=(0,)):
    """A store of some learners on two domains, one of which failed."""
    for domain, source in (("vision", "glyphs"), ("nlp", "intents")):
        for number, algorithm in enumerate(algorithms):
            for seed in seeds:
                arrays = classified(rng, 0.5 + 0.1 * number)
                place = {"domain": domain, "source": source}
                put(root, arrays, algorithm=algorithm, seed=seed, **place)
    put(root, algorithm="broken")
    return root


def reseal(path, change):
    """Change a record as a forger would, who can compute a checksum."""
    values = json.loads(path.read_text("utf-8"))
    change(values)
    values.pop("checksum")
    forged = Record.model_validate(values).sealed()
    path.write_text(json.dumps({**forged.body(), "checksum": forged.checksum}), "utf-8")
