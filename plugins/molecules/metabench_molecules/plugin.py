"""Molecules for metabench: what this distribution adds, described without importing any of it."""

from __future__ import annotations

from collections.abc import Iterator

from metabench.hookspecs import EncoderInfo, ReaderInfo, TaskSourceInfo, hookimpl
from metabench_molecules import files

__all__ = ["metabench_encoders", "metabench_readers", "metabench_task_sources"]

SOURCES = "metabench_molecules.sources"
ENCODERS = "metabench_molecules.encoders"
_RDKIT = ("rdkit",)
_PAR = {"shots": [2, 20], "support": "balanced", "query": "rest", "draws": 10}
_SYNTHETIC = "written by the metabench developers for this benchmark; endpoints by RDKit"


@hookimpl
def metabench_task_sources() -> Iterator[TaskSourceInfo]:
    """Yield the sources of molecules."""
    # Two learners adapt the graph network to every episode: more would not be quick.
    small = {"shots": [16], "query": 32, "draws": 5, "budget": 2000}
    fragments = {"shots": [16, 64], "query": 64, "draws": 5}
    yield TaskSourceInfo(
        name="drug-fragments",
        summary="synthetic molecules with 70 exact endpoints; test cores and properties held out",
        target=f"{SOURCES}.drug_fragments:drug_fragments",
        citation=_SYNTHETIC,
        licence="Apache-2.0",
        requires=_RDKIT,
        domain="molecules",
        modality="molecule",
        task_kind="binary",
        metric="delta-auprc",
        other_metrics=("auroc",),
        synthetic=True,
        suites={"quick": small},
    )
    yield TaskSourceInfo(
        name="drug-fragments-values",
        summary="the synthetic molecules; each task a weighted sum of three properties",
        target=f"{SOURCES}.drug_fragments:drug_fragments_values",
        citation=_SYNTHETIC,
        licence="Apache-2.0",
        requires=_RDKIT,
        domain="molecules",
        modality="molecule",
        task_kind="regression",
        metric="nmse",
        other_metrics=("r2",),
        synthetic=True,
        suites={"standard": fragments, "full": fragments},
    )
    series = {"shots": [8, 16], "query": "rest", "draws": 10}
    yield TaskSourceInfo(
        name="esol",
        summary="solubility in water; tasks are 22 chemical series, our own",
        target=f"{SOURCES}.esol:esol",
        citation="Delaney (2004), J. Chem. Inf. Comput. Sci. 44; tasks and split: ours",
        licence="MIT",
        requires=_RDKIT,
        domain="molecules",
        modality="molecule",
        task_kind="regression",
        metric="nmse",
        other_metrics=("r2",),
        files=(files.ESOL,),
        suites={"standard": series, "full": series},
    )
    assays = {"shots": [16, 32, 64, 128], "query": "rest", "draws": 10}
    yield TaskSourceInfo(
        name="fs-mol",
        summary="activity of 228,000 molecules in 5,000 assays; official split, 157 test assays",
        target=f"{SOURCES}.fs_mol:fs_mol",
        citation="Stanley et al. (2021), NeurIPS Datasets and Benchmarks",
        licence="CC-BY-SA-3.0",
        requires=_RDKIT,
        domain="molecules",
        modality="molecule",
        task_kind="binary",
        metric="delta-auprc",
        other_metrics=("auroc",),
        files=(files.FSMOL_TAR, files.FSMOL_SPLIT, files.FSMOL_TARGETS),
        suites={"standard": assays, "full": assays},
    )
    yield TaskSourceInfo(
        name="sider",
        summary="27 kinds of side effects of drugs; the split of PAR, 6 test tasks",
        target=f"{SOURCES}.moleculenet:sider",
        citation="Wu et al. (2018), Chem. Sci. 9; split of Wang et al. (2021), NeurIPS",
        requires=_RDKIT,
        domain="molecules",
        modality="molecule",
        task_kind="binary",
        metric="auroc",
        other_metrics=("delta-auprc",),
        files=(files.SIDER,),
        suites={"standard": _PAR, "full": _PAR},
    )
    yield TaskSourceInfo(
        name="tox21",
        summary="12 toxicity assays; the split of PAR, 3 test tasks",
        target=f"{SOURCES}.moleculenet:tox21",
        citation="Wu et al. (2018), Chem. Sci. 9; split of Wang et al. (2021), NeurIPS",
        requires=_RDKIT,
        domain="molecules",
        modality="molecule",
        task_kind="binary",
        metric="auroc",
        other_metrics=("delta-auprc",),
        files=(files.TOX21,),
        suites={"standard": _PAR, "full": _PAR},
    )


@hookimpl
def metabench_encoders() -> Iterator[EncoderInfo]:
    """Yield the molecule encoders."""
    yield EncoderInfo(
        name="ecfp",
        summary="Morgan count fingerprint, radius 2 (2048 dimensions)",
        target=f"{ENCODERS}.ecfp:ECFP",
        citation="Rogers & Hahn (2010), J. Chem. Inf. Model. 50",
        licence="Apache-2.0",
        requires=_RDKIT,
        modalities=("molecule",),
        trainable=False,
        suites=("quick", "standard", "full"),
    )
    yield EncoderInfo(
        name="gin",
        summary="graph isomorphism network with bond features, from scratch (256 dimensions)",
        target=f"{ENCODERS}.gin:GIN",
        citation="Xu et al. (2019), ICLR; bonds as in Hu et al. (2020), ICLR",
        licence="Apache-2.0",
        requires=_RDKIT,
        modalities=("molecule",),
        trainable=True,
        suites=("full",),
    )
    yield EncoderInfo(
        name="gin+ecfp",
        summary="graph network and fingerprint together, from scratch (256 dimensions)",
        target=f"{ENCODERS}.gin_ecfp:GINwithECFP",
        citation="Stanley et al. (2021), NeurIPS Datasets and Benchmarks",
        licence="Apache-2.0",
        requires=_RDKIT,
        modalities=("molecule",),
        trainable=True,
        suites=("quick", "standard", "full"),
    )
    yield EncoderInfo(
        name="rdkit-descriptors",
        summary="physical and topological numbers, standardised on meta-train (121 dimensions)",
        target=f"{ENCODERS}.descriptors:RDKitDescriptors",
        citation="RDKit; Labute (2000); Nguyen et al. (2009)",
        licence="Apache-2.0",
        requires=_RDKIT,
        modalities=("molecule",),
        trainable=False,
        suites=("full",),
    )


@hookimpl
def metabench_readers() -> Iterator[ReaderInfo]:
    """Yield how users' own items are read."""
    yield ReaderInfo(
        name="smiles",
        summary="SMILES of a table, cleaned by RDKit",
        target="metabench_molecules.reader:SmilesReader",
        domain="molecules",
        modality="molecule",
        role="smiles",
        citation="Weininger (1988), J. Chem. Inf. Comput. Sci. 28:31",
        licence="Apache-2.0",
        requires=_RDKIT,
    )
