"""The upstream files of the sources, at fixed commits, with their SHA-256."""

from __future__ import annotations

from metabench.hookspecs import DataFile

_RAW = "https://raw.githubusercontent.com"
_OOS_EVAL = f"{_RAW}/clinc/oos-eval/828f8093932c8fe6ca7936c3d2e52903b1c523de"
_POLYAI = f"{_RAW}/PolyAI-LDN/task-specific-datasets/57ec275d8078af65b7731c2a98be812d844a6d6b"
_FEWREL = f"{_RAW}/thunlp/FewRel/278a2315d2138810a379cd8d5718914dc56e2582"

CLINC_DATA = DataFile(
    path="nlp/clinc150/data_full.json",
    url=f"{_OOS_EVAL}/data/data_full.json",
    sha256="36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0",
)
CLINC_DOMAINS = DataFile(
    path="nlp/clinc150/domains.json",
    url=f"{_OOS_EVAL}/data/domains.json",
    sha256="b947b579d3b8e74b06f93b01083d8efaff2888b43a3e362533bd88a6e1211b3a",
)
BANKING_TRAIN = DataFile(
    path="nlp/banking77/train.csv",
    url=f"{_POLYAI}/banking_data/train.csv",
    sha256="b06e26ac675513959a63135f11b94ea7786ed02da65db93a5650d8838cbc664b",
)
BANKING_TEST = DataFile(
    path="nlp/banking77/test.csv",
    url=f"{_POLYAI}/banking_data/test.csv",
    sha256="d12d6e3bc4c3103966ae786dc435913c0c563dfa328f5a3646d0e62cfeeb474d",
)
FEWREL_TRAIN = DataFile(
    path="nlp/fewrel/train_wiki_partial.json",
    sha256="49957ba230b74c38168b01fd3d48ab6fda70f40d6ef7a34ad455b8687691b444",
)
"""Derived from a continual-learning release of FewRel; nothing upstream to download."""
FEWREL_WIKI = DataFile(
    path="nlp/fewrel/val_wiki.json",
    url=f"{_FEWREL}/data/val_wiki.json",
    sha256="76bb44c2485b6faed358a3ce040eadafcc8a8835245cd7e6afc1bef672d4a0bf",
)
FEWREL_PUBMED = DataFile(
    path="nlp/fewrel/val_pubmed.json",
    url=f"{_FEWREL}/data/val_pubmed.json",
    sha256="fc0f13b534f6664fe0d8aec231d7590313bc6510d00dbc1b6746147f6a2b46e6",
)
