"""Tables as a dataset folder in the Hugging Face layout: CSV files and a card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from metabench.atomic import write_bytes, write_text
from metabench.errors import MetabenchError, UsageError
from metabench.leaderboard.build import OVERALL
from metabench.leaderboard.csvfile import read_csv
from metabench.leaderboard.manifest import MANIFEST, Manifest, read_manifest
from metabench.leaderboard.markdown import markdown_text

CARD = "README.md"
MARK = "<!-- written by `metabench leaderboard push hf` -->"

_READING = (
    "Compare rows only where `protocol_digest` and `episodes_digest` are equal. A row without",
    "a mean says why in `status` and `reason`; nothing is imputed. Text that would start a",
    "formula in a spreadsheet is guarded by an apostrophe. `manifest.json` holds the protocols",
    "in full, the plugins with their versions, the machines, and the SHA-256 of every table.",
)


def write_dataset(
    folder: Path, out: Path, repo: str = "USER/NAME", licence: str = ""
) -> list[Path]:
    """Write a dataset folder with one configuration per table.

    Args:
        folder: Tables with their manifest.
        out: The dataset's folder.
        repo: The dataset's name on the hub, for the card.
        licence: A licence identifier of the hub, such as ``cc-by-4.0``; none if empty.

    Returns:
        The files.

    Raises:
        UsageError: If there are no tables, or ``out`` holds a card of somebody else's.
        MetabenchError: If a file cannot be read or written.
    """
    tables = sorted(folder.glob("*.csv"))
    if not tables:
        raise UsageError(f"{folder} holds no tables; `metabench leaderboard build` makes them")
    manifest = read_manifest(folder / MANIFEST)
    card = out / CARD
    if card.exists() and MARK not in card.read_text("utf-8", errors="replace"):
        raise UsageError(f"{card} was not written by this command; name another folder with --out")
    rows = {table.stem: len(read_csv(table)) for table in tables}
    paths = []
    for file in (*tables, folder / MANIFEST):
        paths.append(out / ("data" if file.suffix == ".csv" else "") / file.name)
        try:
            write_bytes(paths[-1], file.read_bytes())
        except OSError as error:
            raise MetabenchError(f"cannot read {file}: {error.strerror}") from error
    write_text(card, dataset_card(rows, manifest, repo, licence))
    return [*paths, card]


def dataset_card(rows: Mapping[str, int], manifest: Manifest, repo: str, licence: str) -> str:
    """Return the card: YAML for the hub, then what a reader must know.

    Args:
        rows: Number of rows by table.
        manifest: What the tables rest on.
        repo: The dataset's name on the hub.
        licence: A licence identifier, or nothing.
    """
    first = OVERALL if OVERALL in rows else min(rows)
    lines = ["---", 'pretty_name: "metabench leaderboards"']
    lines += [f"license: {_quoted(licence)}"] * bool(licence)
    lines += ["tags:", "- few-shot-learning", "- meta-learning", "- leaderboard", "configs:"]
    for name in rows:
        lines += [f"- config_name: {_quoted(name)}", f"  data_files: {_quoted(f'data/{name}.csv')}"]
        lines += ["  default: true"] * (name == first)
    counts = manifest.records
    packages = "; ".join(
        f"{name} {', '.join(versions)}" for name, versions in manifest.packages.items() if versions
    )
    lines += [
        "---",
        MARK,
        "",
        "# Few-shot leaderboards",
        "",
        "Few-shot learners on the same test episodes under frozen protocols, with intervals and",
        "tied ranks, made by metabench. One configuration per domain, and `overall`.",
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        f"table = load_dataset({json.dumps(repo)}, {json.dumps(first)})",
        "```",
        "",
        "| configuration | rows |",
        "| --- | --- |",
        *(f"| {markdown_text(name)} | {number} |" for name, number in rows.items()),
        "",
        f"Built {markdown_text(manifest.built)} from {counts.get('total', 0)} records,",
        f"{counts.get('ok', 0)} of them with scores; cells ended from",
        f"{markdown_text(manifest.finished[0])} to {markdown_text(manifest.finished[1])}.",
        f"Made with {markdown_text(packages)}.",
        "",
        *_READING,
        "",
    ]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Quote a string for YAML, of which JSON's strings are a part."""
    return json.dumps(text)
