"""A saved learner answers in another process as the cell did that it comes from."""

import json

import pytest
from saved_cases import LEARNERS

CHECK = """
import json, sys
from pathlib import Path
import numpy as np
import metabench
from metabench.runs.prepare import load_source
from metabench.runs.request import RunRequest
from metabench.runs.rerun import draft_of
from metabench.runs.session import Session
from metabench.tasks.sampler import EpisodeSampler

session = Session.start(RunRequest(), only_read=True)
records = {record.key: record for record in session.store.scan()}
for name in sys.argv[1:]:
    learner = metabench.load(Path("saved", name))
    record = records[learner.config.record]
    draft = draft_of(record, session.catalogue)
    data = load_source(draft.source, session.place)
    sampler = EpisodeSampler(
        data.splits["test"], draft.protocol.sampling, source_digest=data.digest, split="test",
        seed=record.cell.seed, groups=data.groups,
    )
    arrays = session.store.arrays(record)
    offsets, right, worst = arrays["offsets"], [], 0.0
    for number, one in enumerate(sampler.batches(0, sampler.test_episodes(12), 1)):
        support, query = (
            {n: t[side[0]] for n, t in data.inputs.items()} for side in (one.support, one.query)
        )
        recorded = arrays["predictions"][offsets[number] : offsets[number + 1]]
        labels = one.support_targets[0]
        adapted = learner.adapt(support, labels if labels.ndim > 1 else labels.tolist())
        scores = adapted.scores(query)
        if record.cell.task_kind == "classification":
            right += (adapted.predict(query) == recorded).tolist()
        else:
            mine = scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores
            worst = max(worst, float(np.abs(mine - recorded.reshape(mine.shape)).max()))
    print(json.dumps([name, float(np.mean(right)) if right else 1.0, worst]))
"""


@pytest.fixture(scope="module")
def answers(trained, saved):
    lines = trained.python(CHECK, *saved).splitlines()
    return {name: rest for name, *rest in map(json.loads, lines)}


@pytest.mark.parametrize("name", LEARNERS)
def test_every_query_is_answered_as_in_the_record(answers, name):
    right, worst = answers[name]
    # Ten steps of MAML make much of the last digit, which a batch of four episodes moves.
    assert right >= (0.97 if name == "maml" else 1.0)
    assert worst < 1e-4


def test_what_exporting_says_of_the_agreement(saved):
    for name, (_, same, queries) in saved.items():
        assert queries > 0
        assert same == queries, name


def test_weights_come_from_the_cache_and_are_trained_again_where_it_is_empty(trained, saved):
    assert saved["protonet"][0]
    assert not saved["frozen"][0]
    weights = trained.folder / "results" / "cache" / "weights"
    aside = weights.with_name("aside")
    weights.rename(aside)
    try:
        _, err = trained(
            "export", "again", "--source", "blobs", "--encoder", "toy-linear", "--algorithm",
            "protonet",
        )  # fmt: skip
    finally:
        for path in weights.iterdir():
            path.unlink()
        weights.rmdir()
        aside.rename(weights)
    assert "trains again: " in err
    old, new = (
        (trained.folder / place / "model.safetensors").read_bytes()
        for place in ("saved/protonet", "again")
    )
    assert old == new


def test_nothing_but_safetensors_json_and_text_is_written(trained, saved):
    names = {path.name for path in (trained.folder / "saved").rglob("*") if path.is_file()}
    assert names == {"config.json", "model.safetensors", "README.md", "reference.safetensors"}
    fitted = [p.parent.name for p in (trained.folder / "saved").rglob("reference.safetensors")]
    assert fitted == ["fitted"]
