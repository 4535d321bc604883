"""The file sources: what they read, and that a damaged file is named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from mol_files import GOOD, task_file, write_tar

from metabench.errors import UnavailableError
from metabench.tasks.files import SourceContext
from metabench_molecules import files
from metabench_molecules.smiles import unpack
from metabench_molecules.sources.esol import SERIES, VALUE, esol, series_of, splits
from metabench_molecules.sources.fs_mol import fs_mol
from metabench_molecules.sources.moleculenet import TABLES, sider, tox21

TAR = files.FSMOL_TAR.path


def load(root):
    return fs_mol(SourceContext("fs-mol", root))


def test_fs_mol(fsmol):
    root, _ = fsmol
    data = load(root)
    assert {s: pool.names for s, pool in data.splits.items()} == {
        "train": ("A1", "A2"),
        "val": ("B1",),
        "test": ("C1", "C2"),
    }
    assert len(data) == len(GOOD)
    assert unpack(data.inputs) == [smiles for smiles, _ in GOOD]
    for pool in data.splits.values():
        for task in pool.tasks:
            assert task.targets.tolist() == [label for _, label in GOOD]
    assert [t.subset for t in data.splits["test"].tasks] == ["EC 2 transferase", ""]


@pytest.mark.parametrize("layout", ["fs-mol.tar", "fs-mol"])
def test_upstream_layouts_give_the_same_data(fsmol, layout):
    root, members = fsmol
    before = load(root).digest
    base = root / "molecules" / "fs_mol"
    (root / TAR).unlink()
    full = {
        name: task_file(GOOD, fingerprints=[0] * 8, descriptors=[1.5], graph={"node_types": [1]})
        for name in reversed(members)
    }
    full["fs-mol/test/._C1.jsonl.gz"] = b"resource fork"
    if layout == "fs-mol":
        del full["fs-mol/test/._C1.jsonl.gz"]
        for name, content in full.items():
            (base / name).parent.mkdir(parents=True, exist_ok=True)
            (base / name).write_bytes(content)
    else:
        write_tar(base / layout, full)
    context = SourceContext("fs-mol", root)
    assert fs_mol(context).digest == before
    assert len(context.used) == (3 + len(members) if layout == "fs-mol" else 3)


def test_missing_and_unlisted_tasks_are_said(fsmol):
    root, members = fsmol
    del members["fs-mol/train/A2.jsonl.gz"]
    write_tar(root / TAR, {**members, "fs-mol/train/Z9.jsonl.gz": task_file(GOOD)})
    notes = "\n".join(load(root).notes)
    assert "1 of 2 train tasks are not there: A2" in notes
    assert "1 task files of fs-mol-slim.tar are not in" in notes


def test_bad_molecules_and_one_class_assays_cost_only_themselves(fsmol):
    root, members = fsmol
    members["fs-mol/train/A1.jsonl.gz"] = task_file([*GOOD, ("C1CC", 1), ("", 0)])
    members["fs-mol/test/C2.jsonl.gz"] = task_file([("CC", 1), ("CCC", 1)])
    write_tar(root / TAR, members)
    data = load(root)
    notes = "\n".join(data.notes)
    assert data.splits["train"].names == ("A1", "A2")
    assert data.splits["test"].names == ("C1",)
    assert "1 assays left out, only one class: C2" in notes
    assert "A1.jsonl.gz: line 5: 'C1CC'" in notes
    assert "A1.jsonl.gz: line 6: ''" in notes


LINE = b'{"SMILES": "C", "Property": "1.0"}\n'


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (LINE + b'{"SMILES": "C", "Prop', r"C1.jsonl.gz: line 2: not JSON"),
        (LINE + b"[1]", r"C1.jsonl.gz: line 2: expected a JSON object, found a list"),
        (LINE + b'{"SMILES": 5, "Property": "1.0"}', r"line 2: SMILES is 5"),
        (LINE + b'{"SMILES": "C", "Property": "0.5"}', r"line 2: Property is '0.5'"),
        (LINE + b'{"SMILES": "C"}', r"line 2: Property is None"),
        (LINE + b'{"SMILES": "C", "Property": "nan"}', r"line 2: Property is 'nan'"),
        (LINE + b"\xff", r"line 2: not JSON"),
        (LINE + b"[" * 100_000, r"line 2: not JSON"),
    ],
)
def test_malformed_lines(fsmol, raw, message):
    import gzip

    root, members = fsmol
    members["fs-mol/test/C1.jsonl.gz"] = gzip.compress(raw)
    write_tar(root / TAR, members)
    with pytest.raises(UnavailableError, match=message):
        load(root)


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_truncated_gzip(fsmol, cut):
    root, members = fsmol
    name = "fs-mol/test/C1.jsonl.gz"
    members[name] = members[name][:-cut]
    write_tar(root / TAR, members)
    with pytest.raises(UnavailableError, match=r"C1.jsonl.gz: no complete gzip file"):
        load(root)


@pytest.mark.parametrize("kept", [0, 100, 512, 600, 1024, 2048, 3000, 5120])
def test_truncated_tar_wherever_it_is_cut(fsmol, kept):
    root, _ = fsmol
    path = root / TAR
    whole = path.read_bytes()
    assert kept < len(whole)
    path.write_bytes(whole[:kept])
    with pytest.raises(UnavailableError, match=r"fs-mol-slim.tar: after"):
        load(root)


def test_not_a_tar(fsmol):
    root, _ = fsmol
    (root / TAR).write_bytes(b"<html>not found</html>" * 100)
    with pytest.raises(UnavailableError, match=r"fs-mol-slim.tar: after the beginning"):
        load(root)


def test_no_archive_says_where_to_get_one(fsmol):
    root, _ = fsmol
    (root / TAR).unlink()
    with pytest.raises(UnavailableError, match=r"no .*fs-mol-slim.tar below .*figshare"):
        load(root)


@pytest.mark.parametrize("split", ["{", "[]", '{"train": [], "valid": []}', '{"train": [1]}'])
def test_malformed_split(fsmol, split):
    root, _ = fsmol
    (root / files.FSMOL_SPLIT.path).write_text(split)
    with pytest.raises(UnavailableError, match=r"fsmol-0.1.json"):
        load(root)


def table(root, name, lines):
    path = root / TABLES[name].file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


ASSAYS = [f"T{i}" for i in range(12)]
HEADER = ",".join([*ASSAYS, "mol_id", "smiles"])


def tox_row(labels, smiles):
    return ",".join([*labels, "M", smiles])


def test_tox21(tmp_path):
    table(
        tmp_path,
        "tox21",
        [
            HEADER,
            tox_row(["1"] * 12, "CCO"),
            tox_row(["0", *[""] * 10, "0"], "CCN"),
            tox_row(["", *["0"] * 11], "CC(=O)[O-].[Na+]"),
        ],
    )
    data = tox21(SourceContext("tox21", tmp_path))
    assert set(data.splits) == {"train", "test"}
    assert data.splits["train"].names == tuple(ASSAYS[:9])
    assert data.splits["test"].names == tuple(ASSAYS[9:])
    assert unpack(data.inputs) == ["CCO", "CCN", "CC(=O)[O-]"]
    assert data.splits["train"].tasks[0].items.tolist() == [0, 1]
    assert data.splits["test"].tasks[2].items.tolist() == [0, 1, 2]
    assert data.splits["test"].tasks[2].targets.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "tox21.csv: line 1: no column"),
        ([HEADER], "tox21.csv: no rows"),
        ([HEADER.replace("T3,", "")], "no rows"),
        ([HEADER.replace("T3,", ""), tox_row(["1"] * 11, "C")], "line 1: 11 assays, not 12"),
        ([HEADER.replace("T3", "T2"), tox_row(["1"] * 12, "C")], "line 1: a column comes twice"),
        ([HEADER, tox_row(["1"] * 11, "C")], "line 2: 13 fields for 14 columns"),
        ([HEADER, tox_row([*["1"] * 11, "2"], "C")], "line 2, column 'T11': '2' is not 0, 1"),
        ([HEADER, tox_row(["1"] * 12, '"C')], "not CSV"),
    ],
)
def test_tox21_damaged(tmp_path, lines, message):
    table(tmp_path, "tox21", lines)
    with pytest.raises(UnavailableError, match=message):
        tox21(SourceContext("tox21", tmp_path))


@pytest.mark.parametrize("load_source", [tox21, sider, esol, fs_mol])
def test_without_data(load_source, tmp_path):
    for root in (None, tmp_path):
        with pytest.raises(UnavailableError):
            load_source(SourceContext("s", root))


def esol_file(root, rows):
    path = root / files.ESOL.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([f"{VALUE},smiles", *rows]) + "\n")


def test_esol_groups_molecules_by_series(tmp_path):
    members = {"acyclic hydrocarbons": ["CCC", "CCCC"], "alkylbenzenes": ["Cc1ccccc1"]}
    everything = [s for group in members.values() for s in group]
    esol_file(tmp_path, [*(f"{-1 - i}.5,{s}" for i, s in enumerate(everything)), "1,C1CC"])
    data = esol(SourceContext("esol", tmp_path))
    tasks = {t.name: t for pool in data.splits.values() for t in pool.tasks}
    assert set(tasks) == set(members)
    assert tasks["acyclic hydrocarbons"].targets.ravel().tolist() == [-1.5, -2.5]
    assert any("'C1CC'" in note for note in data.notes)


@pytest.mark.parametrize("value", ["x", "nan", "inf", ""])
def test_esol_names_a_bad_value(tmp_path, value):
    esol_file(tmp_path, ["-1,C", f"{value},CC"])
    with pytest.raises(UnavailableError, match=r"delaney-processed.csv: line 3, column"):
        esol(SourceContext("esol", tmp_path))


def test_series_are_split_without_overlap():
    cut = splits()
    assert [len(names) for names in cut.values()] == [12, 3, 7]
    assert {n for names in cut.values() for n in names} == {s.name for s in SERIES}
    assert series_of("C") == "acyclic hydrocarbons"
    assert series_of("C1CCC2CCCCC2C1") == "several alicycles"
    steroid = "CC12CCC3C(CCC4=CC(=O)CCC34C)C1CCC2O"
    assert series_of(steroid) == "steroids"


def test_digests_do_not_depend_on_the_order_in_the_archive(fsmol):
    root, members = fsmol
    before = load(root)
    write_tar(root / TAR, dict(reversed(members.items())))
    after = load(root)
    assert before.digest == after.digest
    assert np.array_equal(before.groups, after.groups)


def test_a_changed_split_file_is_noted(fsmol):
    root, _ = fsmol
    path = root / files.FSMOL_SPLIT.path
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1))
    assert any("differs from upstream" in note for note in load(root).notes)
