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

ROUNDING = 1e-5
RANGES = {
    ("omniglot", "conv4", "protonet"): (0.60, 1.0),
    ("omniglot", "pixels", "simpleshot"): (0.25, 1.0),
    ("clinc150", "hashed-ngrams", "protonet"): (0.50, 1.0),
    ("arabic-commands", "mel-conv4", "protonet"): (0.65, 1.0),
    ("arabic-commands", "mfcc-stats", "nearest-neighbour"): (0.28, 0.6),
    ("tox21", "ecfp", "random-forest"): (0.53, 0.8),
    ("esol", "ecfp", "gp"): (0.2, 1.1),
    ("sarcos-joints", "identity", "gp"): (0.1, 0.95),
    # A mean of ratios in 17 short windows, a few of which hardly vary: wide.
    ("cascaded-tanks", "identity", "ridge-probe"): (0.3, 3.0),
}


def main(folder: Path) -> None:
    """Exit with a message if a table is not as it should be."""
    rows = []
    for domain in ("vision", "nlp", "speech", "molecules", "control"):
        with (folder / f"{domain}.csv").open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != COLUMNS:
                sys.exit(f"{domain}.csv has the columns {reader.fieldnames}")
            rows += list(reader)
    if bad := [row for row in rows if row["status"] not in {"ok", "inapplicable"}]:
        sys.exit(f"not ok: {bad}")
    found = {(row["source"], row["encoder"], row["algorithm"]): row for row in rows}
    for cell, (low, high) in RANGES.items():
        if not low <= float(found[cell]["mean"]) <= high:
            sys.exit(f"{cell} has mean {found[cell]['mean']}; {low} to {high} was expected")
    for row in rows:
        if (
            row["algorithm"] == "chance"
            and abs(float(row["mean"]) - float(row["chance"])) > ROUNDING
        ):
            sys.exit(f"chance is not chance: {row}")
    for source in {row["source"] for row in rows}:
        digests = {row["episodes_digest"] for row in rows if row["source"] == source}
        if len(digests - {""}) != 1:
            sys.exit(f"the rows of {source} were tested on different episodes: {digests}")
    print(f"{len(rows)} rows are as they should be")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
