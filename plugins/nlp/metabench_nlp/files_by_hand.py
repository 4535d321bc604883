"""Upstream files that have to be obtained by hand: no fixed address or digest is known."""

from __future__ import annotations

from metabench.hookspecs import DataFile

WIKIQA = tuple(DataFile(path=f"nlp/wikiqa/WikiQA-{part}.tsv") for part in ("train", "dev", "test"))
