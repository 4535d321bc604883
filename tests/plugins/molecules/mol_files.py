"""Small upstream files in the real formats."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

SPLIT = {"train": ["A1", "A2"], "valid": ["B1"], "test": ["C1", "C2"]}
GOOD = [("CCO", 1), ("CCN", 0), ("c1ccccc1", 1), ("CCCl", 0)]


def task_file(rows, **extra):
    lines = [
        json.dumps({"SMILES": s, "Property": f"{float(y)}", "Assay_ID": "X", **extra})
        for s, y in rows
    ]
    return gzip.compress("\n".join(lines).encode(), mtime=0)


def write_tar(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
