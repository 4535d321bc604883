"""The sources on the real files below METABENCH_DATA."""

from __future__ import annotations

import gzip
import json
import os
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from metabench.learners.contracts import InputSpec
from metabench.tasks.files import SourceContext
from metabench_molecules.assays import Molecules
from metabench_molecules.encoders.ecfp import ECFP
from metabench_molecules.plugin import metabench_task_sources
from metabench_molecules.smiles import pack
from metabench_molecules.sources.esol import SERIES, esol
from metabench_molecules.sources.fs_mol import fs_mol
from metabench_molecules.sources.moleculenet import sider, tox21

ROOT = os.environ.get("METABENCH_DATA", "")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(
        not (ROOT and (Path(ROOT) / "molecules").is_dir()),
        reason="METABENCH_DATA names no folder with molecules/",
    ),
]


def test_declared_digests():
    for file in {f.path: f for info in metabench_task_sources() for f in info.files}.values():
        assert sha256((Path(ROOT) / file.path).read_bytes()).hexdigest() == file.sha256


def test_tox21():
    data = tox21(SourceContext("tox21", Path(ROOT)))
    assert data.splits["test"].names == ("SR-HSE", "SR-MMP", "SR-p53")
    assert len(data.splits["train"].tasks) == 9
    assert len(data) == 7709
    assert not any("differs from upstream" in note for note in data.notes)


def test_sider():
    data = sider(SourceContext("sider", Path(ROOT)))
    assert (len(data.splits["train"].tasks), len(data.splits["test"].tasks)) == (21, 6)
    assert data.splits["test"].names[0] == "Renal and urinary disorders"
    assert len(data) == 1394
    assert min(len(t.items) for t in data.splits["test"].tasks) >= 1380


def test_esol():
    data = esol(SourceContext("esol", Path(ROOT)))
    sizes = {t.name: len(t.items) for pool in data.splits.values() for t in pool.tasks}
    assert set(sizes) == {series.name for series in SERIES}
    assert sum(sizes.values()) == len(data) == 1117
    assert min(sizes.values()) >= 26


def sample():
    folder = Path(ROOT) / "molecules" / "fs_mol" / "original_sample" / "fs-mol"
    return sorted(folder.glob("*/*.jsonl.gz"))


@pytest.mark.parametrize("path", sample()[::6] if ROOT else [], ids=lambda p: p.name)
def test_fingerprints_equal_upstream_s(path):
    with gzip.open(path) as stream:
        lines = [json.loads(line) for line in stream][:60]
    table = Molecules()
    rows = [table.index(line["SMILES"], "") for line in lines]
    repaired = [("[PH](=O)(=O)" in line["SMILES"]) for line in lines]
    inputs = pack(table._smiles)
    encoder = ECFP(InputSpec.of("molecule", inputs))
    counts = encoder.prepare(inputs, torch.empty(0, dtype=torch.int64))["counts"]
    for line, row, changed in zip(lines, rows, repaired, strict=True):
        assert row is not None
        if not changed:
            assert counts[row].tolist() == line["fingerprints"]


@pytest.mark.slow
def test_fs_mol():
    data = fs_mol(SourceContext("fs-mol", Path(ROOT)))
    tasks = {split: len(pool.tasks) for split, pool in data.splits.items()}
    assert tasks == {"train": 4935, "val": 39, "test": 157}
    assert len(data) == 227_830
    test = data.splits["test"].tasks
    assert 56_220 - 700 < sum(len(task.items) for task in test) <= 56_220
    assert all(task.subset.startswith("EC ") for task in test)
    assert not any("left out, SMILES" in note for note in data.notes)
    assert not any("differs from upstream" in note for note in data.notes)
