"""How long tables of many records take, and how much memory: made-up records, real commands.

Run ``python benchmarks/records.py --cells 100000 --store FOLDER``. The folder gets a store of so
many cells (about 8 KB each on disk), which is made once and used again. Measured, each in a process
of its own: reading every record; a first `metabench leaderboard build`; one with nothing new; one
after a new cell. Scores are drawn anew for 8,000 cells and shared by the rest, which changes
nothing in what has to be done.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from metabench.runs.record import Cell, Cost, Record, canonical_json, digest_of
from metabench.runs.store import record_name

ALGORITHMS, SEEDS, EPISODES, QUERIES = 50, 5, 100, 15
ENCODERS = {"conv4": "trainable", "resnet12": "trainable", "pixels": "frozen", "minilm": "frozen"}
SHOTS = (1, 5)
DOMAINS = ("control", "molecules", "nlp", "speech", "vision")
PER_SOURCE = ALGORITHMS * SEEDS * len(ENCODERS) * len(SHOTS)
POOL = 4 * PER_SOURCE

MEASURED = """
import json, os, resource, sys, time

begun = time.perf_counter()
sys.argv = ["metabench", *sys.argv[1:]]
if sys.argv[1] == "scan":
    from pathlib import Path
    from metabench.runs.store import Store
    store = Store(Path(sys.argv[2]), only_read=True)
    told = sum(1 for _ in store.scan())
else:
    from metabench.cli import main
    try:
        told = main()
    except SystemExit as stop:
        told = stop.code
took = time.perf_counter() - begun
usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
cpu = sum(usage.ru_utime + usage.ru_stime for usage in usages)
# Processes that read: at most one per core, and none is larger than the largest.
memory = usages[0].ru_maxrss + len(os.sched_getaffinity(0)) * usages[1].ru_maxrss
print(json.dumps([took, cpu, memory / 1024**2, told]))
"""


def arrays_of(number: int) -> tuple[bytes, float]:
    """Make one cell's scores and predictions; a number always gives the same ones."""
    rng = np.random.default_rng(number)
    level = 0.3 + 0.6 * (number % ALGORITHMS) / ALGORITHMS + rng.normal(0, 0.01)
    targets = np.random.default_rng(number % SEEDS).integers(0, 5, EPISODES * QUERIES)
    right = rng.uniform(size=targets.size) < level
    credit = right.astype(np.float32)
    scores = credit.reshape(EPISODES, QUERIES).astype(np.float64).mean(1)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        scores=scores,
        predictions=np.where(right, targets, (targets + 1) % 5).astype(np.int16),
        credit=credit,
        targets=targets,
        offsets=np.arange(EPISODES + 1) * QUERIES,
        units=np.empty(0, np.int64),
    )
    return buffer.getvalue(), float(scores.mean())


def record_of(number: int, content: bytes, mean: float) -> Record:
    """Make the record of cell ``number``, as long as real ones are."""
    rest, seed = divmod(number, SEEDS)
    rest, algorithm = divmod(rest, ALGORITHMS)
    rest, encoder = divmod(rest, len(ENCODERS))
    source, shot = divmod(rest, len(SHOTS))
    settings = {
        "name": f"made-5w{SHOTS[shot]}s", "version": 1, "way": 5, "shot": SHOTS[shot],
        "query": QUERIES, "episodes": EPISODES, "draws": 10, "support": "stratified",
        "group_disjoint": False, "budget": 4000, "seconds": None, "val_episodes": 40,
        "selections": 2, "patience": 0, "metric": "accuracy", "engine": 1,
    }  # fmt: skip
    digest = digest_of({name: value for name, value in settings.items() if name != "name"})
    cell = Cell(
        domain=DOMAINS[source % len(DOMAINS)], source=f"source-{source:04d}",
        task_kind="classification", encoder=list(ENCODERS)[encoder],
        encoder_policy=list(ENCODERS.values())[encoder], algorithm=f"learner-{algorithm:02d}",
        protocol=settings["name"], protocol_digest=digest, way="5", shot=str(SHOTS[shot]),
        metric="accuracy", chance=0.2, best=1.0, seed=seed, inductive=True,
        plugin="metabench-algorithms", plugin_version="0.1.0",
    )  # fmt: skip
    code = hashlib.sha256(cell.algorithm.encode()).hexdigest()
    parts = {
        "protocol": digest,
        "source": {"name": cell.source, "digest": hashlib.sha256(cell.source.encode()).hexdigest()},
        "encoder": {"name": cell.encoder, "options": {}, "version": "0.1.0", "code": code},
        "algorithm": {"name": cell.algorithm, "options": {}, "version": "0.1.0", "code": code},
        "metric": {"name": "accuracy", "options": {}, "version": "0.1.0", "code": code},
        "precision": "fp32",
        "seed": seed,
    }
    return Record(
        key=digest_of(parts),
        key_parts=parts,
        cell=cell,
        status="ok",
        mean=mean,
        episodes=EPISODES,
        episodes_digest=digest_of([cell.source, digest, seed]),
        scores_sha256=hashlib.sha256(content).hexdigest(),
        cost=Cost(train_seconds=1.5, adapt_ms_per_task=0.5, peak_memory_mb=600, parameters=112_131),
        training={
            "steps": 16, "examples": 3840, "seconds": 1.07, "best_step": 16, "stopped": "budget",
            "curve": [[1920, 2.4143850058317184, 0.25611], [3840, 1.743130937218666, 0.27389]],
            "setup": {"recipe": "episodic", "optimizer": "adam", "train_way": 5, "meta_batch": 4},
            "unit": "episodes",
            "hyperparameters": {f"setting_{letter}": 0.001 for letter in "abcdefghijkl"},
        },
        provenance={
            "metabench": "0.1.0", "python": "3.11.7", "torch": "2.13.0+cpu", "numpy": "2.4.6",
            "platform": "Linux", "processor": "A processor", "cores": 2, "device": "cpu",
            "precision": "fp32", "source": "metabench-vision 0.1.0",
            "encoder": "metabench-vision 0.1.0", "protocol": settings,
            "started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:01:00.500+00:00",
            "threads": 1, "accelerator": "",
        },
    )  # fmt: skip


def write_cells(store: Path, first: int, last: int) -> None:
    """Write cells as the store does, but for the waiting until each is safe on the disk."""
    pool: dict[int, tuple[bytes, float]] = {}
    for number in range(first, last):
        content, mean = pool.setdefault(number % POOL, None) or arrays_of(number % POOL)  # type: ignore[assignment]
        pool[number % POOL] = content, mean
        record = record_of(number, content, mean)
        body = record.body()
        checksum = hashlib.sha256(canonical_json(body).encode()).hexdigest()
        name = record_name(record.cell, record.key)
        path = store / "records" / record.cell.source / record.cell.protocol / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".npz").write_bytes(content)
        path.write_text(json.dumps({**body, "checksum": checksum}, indent=1) + "\n", "utf-8")


def measure(what: str, *arguments: str) -> None:
    """Run a command in a process of its own and print what it took."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments],
        stdout=subprocess.PIPE, text=True, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    wall, cpu, memory, told = json.loads(done.stdout.splitlines()[-1])
    print(f"{what:24} {wall:8.1f} s  {cpu:8.1f} s of CPU  {memory:6.2f} GiB  ({told})", flush=True)


def main() -> None:
    """Make the store if it is not there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--no-scan", action="store_true")
    chosen = parser.parse_args()
    marker = chosen.store / f"made-{chosen.cells}"
    if not marker.exists():
        begun = time.perf_counter()
        write_cells(chosen.store, 0, chosen.cells)
        marker.touch()
        print(f"made {chosen.cells:,} records in {time.perf_counter() - begun:.0f} s", flush=True)
        time.sleep(3)
    store, out = str(chosen.store), str(chosen.store / "tables")
    build = ("leaderboard", "build", "--no-site", "--store", store, "--out", out)
    if not chosen.no_scan:
        measure("scan", "scan", store)
    measure("first build", *build)
    measure("build, nothing new", *build)
    taken = sum(1 for _ in chosen.store.glob("new-*"))
    write_cells(chosen.store, chosen.cells + taken, chosen.cells + taken + 1)
    (chosen.store / f"new-{taken}").touch()
    measure("build, one new cell", *build)


if __name__ == "__main__":
    main()
