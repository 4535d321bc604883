"""Small upstream files in the real formats."""

from __future__ import annotations

import json

import pytest
from mol_files import GOOD, SPLIT, task_file, write_tar


@pytest.fixture
def fsmol(tmp_path):
    """A data directory with a tiny FS-Mol; returns it and the members of the archive."""
    root = tmp_path / "molecules" / "fs_mol"
    (root / "datasets" / "targets").mkdir(parents=True)
    (root / "datasets" / "fsmol-0.1.json").write_text(json.dumps(SPLIT))
    (root / "datasets" / "targets" / "test_proteins.csv").write_text(
        "chembl_id,EC_super_class,EC_super_class_name\nC1,2,transferase\n"
    )
    members = {
        f"fs-mol/{split}/{name}.jsonl.gz": task_file(GOOD)
        for split, names in SPLIT.items()
        for name in names
    }
    write_tar(root / "fs-mol-slim.tar", members)
    return tmp_path, members
