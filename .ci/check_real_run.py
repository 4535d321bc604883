"""Check the tables of the small real run: columns, statuses, and numbers any sane run meets."""

import csv
import sys
from pathlib import Path

COLUMNS = [
    "domain",
    "source",
    "task_kind",
    "way",
    "shot",
    "encoder",
    "algorithm",
    "metric",
    "mean",
    "ci95_low",
    "ci95_high",
    "ci_over",
    "normalized",
    "rank_low",
    "rank_high",
    "chance",
    "episodes",
    "seeds",
    "status",
    "train_seconds",
    "adapt_ms_per_task",
    "peak_memory_mb",
    "parameters",
    "inductive",
    "plugin",
    "plugin_version",
    "protocol",
    "protocol_digest",
    "episodes_digest",
    "reason",
    "other_metrics",
]

FLOORS = {
    ("omniglot", "conv4", "protonet"): 0.60,
    ("omniglot", "pixels", "simpleshot"): 0.25,
    ("clinc150", "hashed-ngrams", "protonet"): 0.50,
}


def main(folder: Path) -> None:
    """Exit with a message if a table is not as it should be."""
    rows = []
    for domain in ("vision", "nlp"):
        with (folder / f"{domain}.csv").open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != COLUMNS:
                sys.exit(f"{domain}.csv has the columns {reader.fieldnames}")
            rows += list(reader)
    if bad := [row for row in rows if row["status"] not in {"ok", "inapplicable"}]:
        sys.exit(f"not ok: {bad}")
    found = {(row["source"], row["encoder"], row["algorithm"]): row for row in rows}
    for cell, floor in FLOORS.items():
        if not floor <= float(found[cell]["mean"]) <= 1.0:
            sys.exit(f"{cell} has mean {found[cell]['mean']}; at least {floor} was expected")
    for row in rows:
        if row["algorithm"] == "chance" and float(row["mean"]) != float(row["chance"]):
            sys.exit(f"chance is not chance: {row}")
    for source in ("omniglot", "clinc150"):
        digests = {row["episodes_digest"] for row in rows if row["source"] == source}
        if len(digests - {""}) != 1:
            sys.exit(f"the rows of {source} were tested on different episodes: {digests}")
    print(f"{len(rows)} rows are as they should be")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
