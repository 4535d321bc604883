"""Run the suites that repeat published numbers, and make the table and the page from the records.

``METABENCH_DATA=... python benchmarks/reproduce --store DIR`` runs what is missing: an interrupted
run resumes. ``--page-only`` makes the table and the page from what the store holds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tomllib
from pathlib import Path

from columns import write
from experiments import Experiment, experiments, is_experiment
from order import Pair, orders
from page import page
from table import Comparison, compare

from metabench.runs.store import Store

HERE = Path(__file__).parent
NOTES = HERE / "notes.toml"
ROOT = HERE.parents[1]
SUITES = {path.stem: path for path in sorted((HERE / "suites").glob("*.toml"))}


def main() -> None:
    """Parse the command line and carry it out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--suites", nargs="*", choices=SUITES, default=list(SUITES))
    parser.add_argument("--page-only", action="store_true", help="run nothing")
    parser.add_argument("--out", type=Path, default=ROOT, help="write below it; the checkout")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="after --: flags of metabench run")
    chosen = parser.parse_args()
    failed = 0
    for name in [] if chosen.page_only else chosen.suites:
        command = [sys.executable, "-m", "metabench", "run", "--suite", str(SUITES[name])]
        command += ["--store", str(chosen.store), "--timeout", "0", *chosen.rest[1:]]
        failed |= subprocess.run(command, check=False).returncode
    comparisons = publish(Store(chosen.store.resolve(), only_read=True), chosen.out)
    for one in comparisons:
        if one.verdict != "not run":
            print(f"{one.source} {one.way}w{one.shot} {one.method}: {one.ours} {one.verdict}")
    sys.exit(failed)


def publish(store: Store, out: Path) -> list[Comparison]:
    """Write tables and page below a folder, from the records of a store."""
    notes = tomllib.loads(NOTES.read_text("utf-8"))
    scored = list(store.scan_scored())
    rows = [one for one in scored if not is_experiment(one)]
    comparisons = compare(rows)
    tried = list(experiments(filter(is_experiment, scored), notes["omniglot"]["against"]))
    pairs = orders(comparisons, rows)
    tables = out / "leaderboards" / "reproduction"
    write(tables / "reproduction.csv", Comparison, comparisons)
    write(tables / "experiments.csv", Experiment, tried)
    write(tables / "orders.csv", Pair, pairs)
    explained = out / "docs" / "explanation" / "reproduction.md"
    explained.parent.mkdir(parents=True, exist_ok=True)
    explained.write_text(page(comparisons, tried, pairs, notes), "utf-8")
    return comparisons


if __name__ == "__main__":
    main()
