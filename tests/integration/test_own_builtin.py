"""Own data in folders and tables give the numbers of the built-in source behind them."""

from __future__ import annotations

import csv
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from metabench.registry.discovery import load_plugins
from metabench.registry.targets import resolve_target
from metabench.runs.request import RunRequest
from metabench.runs.run import run
from metabench.runs.session import Session
from metabench.runs.store import Store
from metabench.tasks.files import SourceContext

ROOT = Path(os.environ.get("METABENCH_DATA", "nowhere"))
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not ROOT.is_dir(), reason="METABENCH_DATA is not set"),
]


def builtin(name):
    info = load_plugins().source(name).info
    return resolve_target(info.target)(SourceContext(name, ROOT), **info.options)


def own_data(**fields):
    session = Session.start(RunRequest(store=Path("nowhere"), **fields), only_read=True)
    info = session.catalogue.source(session.own).info
    return info, resolve_target(info.target)(SourceContext(info.name), **info.options)


def write_table(path, header, rows, separator=","):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(header)
        writer.writerows(rows)


def write_split(path, data):
    content = {split: list(pool.names) for split, pool in data.splits.items()}
    path.write_text(json.dumps(content), encoding="utf-8")


def labels_of(data):
    names = np.full(len(data), "", dtype=object)
    for pool in data.splits.values():
        for name, members in zip(pool.names, pool.members, strict=True):
            names[members] = name
    return names


def grocery(folder, data):
    """The photographs as files, in the order of upstream's lists."""
    root = ROOT / "vision" / "grocery_store"
    listed = [
        line.split(",")[0].strip()
        for part in ("train", "val", "test")
        for line in (root / f"{part}.txt").read_text().splitlines()
        if line.strip()
    ]
    with zipfile.ZipFile(root / "grocery_84.zip") as archive:
        member = {name.partition("dataset/")[2]: name for name in archive.namelist()}
        for path in listed:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(member[path]))
    rows = zip(listed, labels_of(data), strict=True)
    write_table(folder / "mine.csv", ("photo", "kind"), rows)
    return {"file": "photo", "label": "kind"}


def arabic_commands(folder, data):
    """The recordings as files, with their speakers."""
    rows = []
    archive = ROOT / "speech" / "arabic_speech_commands" / "dataset_round_01.zip"
    with zipfile.ZipFile(archive) as zipped:
        for name in sorted(zipped.namelist()):
            if name.endswith(".wav") and "/background_noise/" not in name:
                _, keyword, recording = name.split("/")
                (folder / keyword).mkdir(exist_ok=True)
                (folder / keyword / recording).write_bytes(zipped.read(name))
                rows.append((f"{keyword}/{recording}", keyword, recording[:8]))
    write_table(folder / "mine.tsv", ("clip", "word", "speaker"), rows, "\t")
    return {"file": "clip", "label": "word", "group": "speaker"}


def texts(folder, data):
    """The texts, with some that the source leaves out as repeated."""
    from metabench_nlp.text import unpack

    rows = list(zip(unpack(data.inputs), labels_of(data), strict=True))
    rows[50:50] = [(rows[3][0].upper() + " !", rows[3][1])]
    write_table(folder / "mine.csv", ("utterance", "intent"), rows)
    return {"text": "utterance", "label": "intent"}


def tox21(folder, data):
    """Upstream's own table."""
    table = (ROOT / "molecules" / "moleculenet" / "snap" / "tox21.csv").read_bytes()
    (folder / "mine.csv").write_bytes(table)
    header = table.decode().splitlines()[0].split(",")
    return {
        "smiles": "smiles",
        "targets": tuple(n for n in header if n not in ("mol_id", "smiles")),
    }


CASES = {
    "grocery": (grocery, "pixels,conv4", "simpleshot,nearest-neighbour,protonet"),
    "arabic-commands": (arabic_commands, "mfcc-stats,mel-conv4", "simpleshot,protonet"),
    "banking77": (texts, "hashed-ngrams,text-cnn", "simpleshot,nearest-neighbour,protonet"),
    "clinc150": (texts, "hashed-ngrams", "simpleshot,protonet"),
    "tox21": (tox21, "ecfp", "nearest-neighbour,protonet,logistic-probe"),
}


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """A built-in source, and the same as a user has it."""
    data = builtin(request.param)
    folder = tmp_path_factory.mktemp("own")
    fields = CASES[request.param][0](folder, data)
    write_split(folder / "split.json", data)
    (table,) = folder.glob("mine.*")
    return request.param, data, {"data_table": table, "split_file": folder / "split.json", **fields}


def test_the_same_tensors_splits_and_groups(case):
    name, data, fields = case
    info, own = own_data(**fields)
    builtin_info = load_plugins().source(name).info
    assert (info.domain, info.modality, info.task_kind) == (
        builtin_info.domain, builtin_info.modality, builtin_info.task_kind,
    )  # fmt: skip
    assert {s: p.names for s, p in own.splits.items()} == {
        s: p.names for s, p in data.splits.items()
    }
    for key, tensor in data.inputs.items():
        assert own.inputs[key].shape == tensor.shape
        assert own.inputs[key].equal(tensor)
    assert own.digest == data.digest


SUITE = """
name = "both"
shots = [{shot}]
[protocol]
budget = 400
episodes = 40
query = {query}
draws = 3
selections = 2
val_episodes = 10
[[entries]]
sources = ["{name}", "mine"]
encoders = {encoders}
algorithms = {algorithms}
[entries.protocol]
group_disjoint = {groups}
"""


@pytest.mark.slow
def test_the_same_scores_episode_by_episode(case, tmp_path):
    name, data, fields = case
    _, encoders, algorithms = CASES[name]
    task_pool = name == "tox21"
    (tmp_path / "both.toml").write_text(
        SUITE.format(
            name=name,
            encoders=json.dumps(encoders.split(",")),
            algorithms=json.dumps(algorithms.split(",")),
            shot=16 if task_pool else 2,
            query=64 if task_pool else 5,
            groups=str(data.groups is not None and not task_pool).lower(),
        )
    )
    request = RunRequest(
        suite=str(tmp_path / "both.toml"), sources=(name,), data=ROOT, jobs=1,
        store=tmp_path / "store", **fields,
    )  # fmt: skip
    result = run(request)
    store = Store(tmp_path / "store")
    found = {}
    for record in result.records:
        assert record.status in {"ok", "inapplicable"}, record.failure
        cell = record.cell
        found[cell.source, cell.encoder, cell.algorithm] = (
            record.episodes_digest, store.scored(record).scores,
        )  # fmt: skip
    cells = [(encoder, learner) for source, encoder, learner in found if source == "mine"]
    assert len(cells) == len(found) // 2 > 1
    for cell in cells:
        theirs, ours = found[name, *cell], found["mine", *cell]
        assert theirs[0] == ours[0] != ""
        np.testing.assert_array_equal(theirs[1], ours[1])
