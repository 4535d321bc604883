"""Molecules assembled from fragments, and endpoints that RDKit computes on them.

Everything is ours and synthetic: no molecule is measured, and a label is exactly true by its
definition. Every molecule is a core with two substituents; cores are split, so the molecules of two
splits have different scaffolds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

CORES = {
    "train": (
        "c1cc([*:1])cc([*:2])c1",
        "c1cc([*:1])ncc1[*:2]",
        "n1c([*:1])cccc1[*:2]",
        "c1c([*:1])ncnc1[*:2]",
        "c1sc([*:1])cc1[*:2]",
        "o1c([*:1])ccc1[*:2]",
        "C1CC([*:1])CCC1[*:2]",
        "C1CN([*:1])CCC1[*:2]",
        "c1ccc2c(c1)c([*:1])cn2[*:2]",
        "c1cc([*:1])c2ccccc2c1[*:2]",
        "c1ccc2nc([*:1])c([*:2])cc2c1",
        "C1CC(=O)N([*:1])C1[*:2]",
        "c1nn([*:1])cc1[*:2]",
        "c1cc2c(cc1[*:1])OCC(=O)N2[*:2]",
        "C1OCC([*:1])CC1[*:2]",
        "c1cc([*:1])ccc1-c1ccc([*:2])cc1",
        "C(=O)(Nc1ccc([*:1])cc1)[*:2]",
        "c1cc([*:1])ccc1CN1CCC([*:2])CC1",
        "c1ccc2c(c1)CCN([*:1])C2[*:2]",
        "c1nc2cc([*:1])ccc2n1[*:2]",
    ),
    "val": (
        "c1cc([*:1])oc(=O)c1[*:2]",
        "c1c([*:1])onc1[*:2]",
        "C1CN([*:1])CCN1[*:2]",
        "c1cc([*:1])ccc1Oc1ccc([*:2])cc1",
        "c1cc2[nH]nc([*:1])c2cc1[*:2]",
        "C1CC1([*:1])[*:2]",
    ),
    "test": (
        "n1nc([*:1])sc1[*:2]",
        "c1ccc2c(c1)nc([*:1])nc2[*:2]",
        "c1cc([*:1])ccc1C(=O)N1CCC([*:2])C1",
        "c1c([*:1])nc([*:2])s1",
        "C1C([*:1])CC2CC1CN2[*:2]",
        "c1cc([*:1])c2c(c1)OC(C)(C)CC2[*:2]",
        "c1cnc2c(c1)n([*:1])cc2[*:2]",
        "c1cc([*:1])ccc1S(=O)(=O)N1CCC([*:2])CC1",
        "O=C1NC(=O)C([*:1])([*:2])N1",
        "c1cc([*:1])ccc1-c1ccnc([*:2])c1",
        "c1c([*:1])nnn1[*:2]",
        "C1CCC2(CC1)CN([*:1])C2[*:2]",
    ),
}
"""SMILES of the cores of each split, with two attachment points."""

_WRITTEN = (
    "C CC C(C)C C(C)(C)C C1CC1 C1CCCCC1 CC1CC1 C=C CCCC c1ccccc1 Cc1ccccc1 c1ccc(F)cc1"
    " c1ccc(Cl)cc1 c1ccncc1 c1cccnc1 c1ccco1 c1cccs1 F Cl C(F)(F)F C#N CC#N CO CCO C(C)O OC CCOC"
    " C(=O)O CC(=O)O C(=O)OC C(=O)OCC C(=O)C C(=O)N C(=O)NC C(=O)N(C)C CNC(=O)C CC(=O)N CN CNC"
    " CN(C)C CCN(C)C CN1CCOCC1 C(=O)N1CCOCC1 CN1CCCC1 CS CSC CS(=O)(=O)C CS(=O)(=O)N"
    " CCS(=O)(=O)NC c1ccc(O)cc1 c1ccc(OC)cc1 c1ccc([N+](=O)[O-])cc1 CC[N+](=O)[O-] CCl CCBr"
    " CNC(=O)NC CNC(=O)OC c1nnc[nH]1"
)
SUBSTITUENTS = tuple(_WRITTEN.split())
"""SMILES of substituents; the first atom is bound to the core."""

PER_CORE = 40


@dataclass(frozen=True)
class Assembled:
    """One molecule.

    Attributes:
        split: ``train``, ``val`` or ``test``, that of its core.
        smiles: Canonical.
    """

    split: str
    smiles: str


def assemble(seed: int) -> list[Assembled]:
    """Put `PER_CORE` distinct molecules together from each core.

    Args:
        seed: Chooses the pairs of substituents.

    Returns:
        The molecules, none twice, in the order of `CORES`.
    """
    raw = np.random.Generator(np.random.Philox(key=[seed, 0]))
    built: list[Assembled] = []
    seen: set[str] = set()
    for split, cores in CORES.items():
        for core in cores:
            found = 0
            for pair in raw.permutation(len(SUBSTITUENTS) ** 2).tolist():
                smiles = join(core, *(SUBSTITUENTS[i] for i in divmod(pair, len(SUBSTITUENTS))))
                if smiles not in seen:
                    seen.add(smiles)
                    built.append(Assembled(split, smiles))
                    found += 1
                if found == PER_CORE:
                    break
    return built


def join(core: str, first: str, second: str) -> str:
    """Bind two substituents to a core.

    Args:
        core: With the attachment points ``[*:1]`` and ``[*:2]``.
        first: What replaces the first one.
        second: What replaces the second one.

    Returns:
        Canonical SMILES.
    """
    parts = Chem.MolFromSmiles(f"{core}.[*:1]{first}.[*:2]{second}")
    return str(Chem.MolToSmiles(Chem.molzip(parts)))


def _weight(molecule: Chem.Mol) -> float:
    return float(rdMolDescriptors.Properties(["amw"]).ComputeProperties(molecule)[0])


def _log_p(molecule: Chem.Mol) -> float:
    return float(rdMolDescriptors.CalcCrippenDescriptors(molecule)[0])


def _refractivity(molecule: Chem.Mol) -> float:
    return float(rdMolDescriptors.CalcCrippenDescriptors(molecule)[1])


PROPERTIES: dict[str, Callable[[Chem.Mol], float]] = {
    "weight": _weight,
    "rotatable bonds": rdMolDescriptors.CalcNumRotatableBonds,
    "share of sp3 carbons": rdMolDescriptors.CalcFractionCSP3,
    "aromatic rings": rdMolDescriptors.CalcNumAromaticRings,
    "heteroatoms": rdMolDescriptors.CalcNumHeteroatoms,
    "molar refractivity": _refractivity,
    "acceptors": rdMolDescriptors.CalcNumHBA,
    "logP": _log_p,
    "polar surface": rdMolDescriptors.CalcTPSA,
    "donors": rdMolDescriptors.CalcNumHBD,
    "shape (kappa 2)": rdMolDescriptors.CalcKappa2,
    "surface (Labute)": rdMolDescriptors.CalcLabuteASA,
}
"""Numbers that RDKit computes of a molecule."""

PATTERNS = {
    "a halogen": "[F,Cl,Br,I]",
    "an ether": "[OD2]([#6;!$(C=O)])[#6;!$(C=O)]",
    "a carboxylic acid": "C(=O)[OX2H1]",
    "a basic amine": "[NX3;!$(N-[C,S]=O);!$(N-a);!$([N+])]([#6X4])",
    "a pyridine-like N": "[nX2]",
    "an aryl bound to an aryl": "a-!@a",
    "a quaternary carbon": "[CX4]([#6,#8,#7,F])([#6,#7,F])([#6,F])[#6,F]",
    "an ester": "[CX3](=O)[OX2][#6]",
    "a thioether or thiol": "[SX2]",
    "a nitrile": "C#N",
    "an amide": "C(=O)[NX3]",
    "a hydroxyl": "[OX2H1]",
    "a sulfonyl": "S(=O)(=O)",
    "a benzene": "c1ccccc1",
    "a saturated ring": "[CX4;R]@[CX4;R]",
    "an NH": "[#7;!H0]",
}
"""Substructures as SMARTS."""


def measure(smiles: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Compute all `PROPERTIES`: ``[n, properties]``."""
    molecules = [Chem.MolFromSmiles(text) for text in smiles]
    return np.array([[f(m) for f in PROPERTIES.values()] for m in molecules])


def match(smiles: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Find all `PATTERNS`: ``[n, patterns]``."""
    patterns = [Chem.MolFromSmarts(smarts) for smarts in PATTERNS.values()]
    molecules = [Chem.MolFromSmiles(text) for text in smiles]
    return np.array([[m.HasSubstructMatch(p) for p in patterns] for m in molecules])
