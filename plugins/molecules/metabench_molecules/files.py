"""The upstream files of the sources, with their SHA-256."""

from __future__ import annotations

from metabench.hookspecs import DataFile

_RAW = "https://raw.githubusercontent.com"
_FSMOL = f"{_RAW}/microsoft/FS-Mol/92aa95daba3f43863227e65be85a07b4a2ee754f/datasets"
_SNAP = f"{_RAW}/zhichunguo/Meta-MGNN/e72ee6508f24b8eb2e528153c50b44d6e717a53c/Original_datasets"
_DEEPCHEM = f"{_RAW}/deepchem/deepchem/fbe3b911a94a6eb8c84c1a9e7ac67a472c49ea80/datasets"

FSMOL_FIGSHARE = "https://figshare.com/ndownloader/files/31345321"
"""Upstream's archive ``fs-mol.tar``; it publishes no SHA-256."""
FSMOL_TAR = DataFile(
    path="molecules/fs_mol/fs-mol-slim.tar",
    sha256="ee79c16d69e8ac422986006e9da5345d47093789cc1db5af8b06c3041d95bebe",
)
"""Upstream's task files without fingerprints, descriptors and graphs, which are computed here."""
FSMOL_OTHERS = ("molecules/fs_mol/fs-mol.tar", "molecules/fs_mol/fs-mol")
"""What is read if `FSMOL_TAR` is not there: upstream's archive, or that archive unpacked."""
FSMOL_SPLIT = DataFile(
    path="molecules/fs_mol/datasets/fsmol-0.1.json",
    url=f"{_FSMOL}/fsmol-0.1.json",
    sha256="f8d0e4d6031d47c82c7aef34c33b554c13648e5cb5c3fb7050070f4e79b23cf8",
)
FSMOL_TARGETS = DataFile(
    path="molecules/fs_mol/datasets/targets/test_proteins.csv",
    url=f"{_FSMOL}/targets/test_proteins.csv",
    sha256="abf45d6f45624967885cfed522d72b0bf96ff06dffeae4eea7bf5de02c36733b",
)
TOX21 = DataFile(
    path="molecules/moleculenet/snap/tox21.csv",
    url=f"{_SNAP}/tox21/raw/tox21.csv",
    sha256="7d7e7facd853a63e79ddce4e9c3fcb7a0d83a1c300b603031c0f2c64fbe77761",
)
SIDER = DataFile(
    path="molecules/moleculenet/snap/sider.csv",
    url=f"{_SNAP}/sider/raw/sider.csv",
    sha256="71efc6ac4ca82d6545bc512509863281be0f17234afd7adaf71a71899988302e",
)
ESOL = DataFile(
    path="molecules/moleculenet/delaney-processed.csv",
    url=f"{_DEEPCHEM}/delaney-processed.csv",
    sha256="8c06a76f0c6487d29ab0f903e6a7a7139f189ab3c1178f159c8be8964602f189",
)
