"""FS-Mol per task: records of a store beside the per-task tables that the authors published.

``METABENCH_DATA=... python benchmarks/reproduce/fs_mol_tasks.py STORE`` after a run of
``benchmarks/reproduce/suites/fs_mol.toml``.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections import defaultdict
from pathlib import Path

import numpy as np

from metabench.registry.discovery import load_plugins
from metabench.runs.parts import make_part
from metabench.runs.prepare import load_source
from metabench.runs.store import Store
from metabench.runs.tasks import Place

PUBLISHED = {
    "random-forest": "random_forest",
    "knn": "kNN",
    "knn-4": "kNN",
    "protonet-16": "ProtoNet-gnn+ecfp+fc-Support64",
}
BASELINES = "molecules/fs_mol/baselines"


def main() -> None:
    """Print one line per learner and support size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    store = Store(parser.parse_args().store, only_read=True)
    data = Path(os.environ["METABENCH_DATA"])
    names = task_names(store.root, data)
    print(f"{'learner':16s} support   ours  published  difference  r over tasks  tasks")
    for record in sorted(store.scan(), key=lambda r: (r.cell.algorithm, int(r.cell.shot))):
        cell = record.cell
        if cell.source != "fs-mol" or record.status != "ok":
            continue
        scored = store.scored(record)
        ours: dict[str, list[float]] = defaultdict(list)
        for unit, score in zip(scored.units.tolist(), scored.scores.tolist(), strict=True):
            ours[names[unit]].append(score)
        mean = {name: float(np.nanmean(scores)) for name, scores in ours.items()}
        line = f"{cell.algorithm:16s} {cell.shot:>7s} {np.mean(list(mean.values())):6.3f}"
        if cell.algorithm in PUBLISHED:
            theirs = published(data / BASELINES, PUBLISHED[cell.algorithm], cell.shot)
            both = sorted(set(mean) & set(theirs))
            a, b = np.array([mean[n] for n in both]), np.array([theirs[n] for n in both])
            line += f"     {b.mean():6.3f}      {a.mean() - b.mean():+6.3f}"
            line += f"        {np.corrcoef(a, b)[0, 1]:6.3f}  {len(both):5d}"
        print(line)


def task_names(store: Path, data: Path) -> tuple[str, ...]:
    """Return the names of the test tasks, in their order."""
    catalogue = load_plugins()
    part = make_part(catalogue.source("fs-mol"), "fs-mol")
    place = Place(store=store.resolve(), data=data.resolve(), device="cpu", precision="fp32")
    return load_source(part, place).splits["test"].names


def published(folder: Path, name: str, support: str) -> dict[str, float]:
    """Return the published gain in average precision of each task.

    Args:
        folder: Where the tables are.
        name: Of the table.
        support: The support size.
    """
    with (folder / f"{name}_summary.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["TASK_ID"]: float(row[f"{support}_train"].split("+/-")[0])
            - float(row["fraction_positive_test"])
            for row in csv.DictReader(file)
            if row[f"{support}_train"]
        }


if __name__ == "__main__":
    main()
