"""One rule for all sources: when two SMILES are one molecule, and which are none.

* A SMILES that RDKit does not parse, or that has no atom, is left out.
* Phosphoric groups written with seven bonds, ``[PH](=O)(=O)O`` (a trace of how FS-Mol was
  standardised; RDKit stopped to accept it in 2024), are rewritten as ``P(=O)(O)O``: the hydrogen
  moves to an oxygen, the atoms stay.
* Of a salt or mixture the fragment with the most heavy atoms stays; of several such, the one with
  the greatest monoisotopic weight, then the first in the order of canonical SMILES. Charges,
  tautomers and stereochemistry stay as upstream gives them.
* Two SMILES are one molecule if the canonical SMILES of what stays are equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rdkit import Chem, rdBase
from rdkit.Chem import rdMolDescriptors
from rdkit.Chem.Scaffolds import MurckoScaffold

_PHOSPHORUS = 15
_OXYGEN = 8


@dataclass(frozen=True)
class Cleaned:
    """A molecule that stays.

    Attributes:
        smiles: Canonical, with stereochemistry.
        scaffold: Canonical SMILES of its Murcko scaffold without stereochemistry (Bemis & Murcko,
            1996); empty for a molecule without rings.
        repaired: Whether phosphorus was rewritten.
        stripped: Whether other fragments were removed.
    """

    smiles: str
    scaffold: str
    repaired: bool = False
    stripped: bool = False


def clean(smiles: str) -> Cleaned | Literal["unparsable", "empty"]:
    """Apply the rules to one SMILES.

    Args:
        smiles: As upstream writes it; surrounding white space is ignored.

    Returns:
        The cleaned molecule, or why there is none.
    """
    text = smiles.strip()
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(text)
        repaired = False
        if molecule is None:
            molecule = _repaired(text)
            repaired = molecule is not None
        if molecule is None:
            return "unparsable"
        if not molecule.GetNumAtoms():
            return "empty"
        stripped = False
        if "." in text:
            fragments = Chem.GetMolFrags(molecule, asMols=True)
            stripped = len(fragments) > 1
            molecule = min(fragments, key=_size)
        canonical = Chem.MolToSmiles(molecule)
        if canonical != text and Chem.MolFromSmiles(canonical) is None:
            return "unparsable"  # RDKit cannot read its own writing: rare, and no encoder could
        return Cleaned(canonical, _scaffold(molecule), repaired, stripped)


def _size(fragment: Chem.Mol) -> tuple[int, float, str]:
    weight = float(rdMolDescriptors.CalcExactMolWt(fragment))
    return -fragment.GetNumHeavyAtoms(), -weight, Chem.MolToSmiles(fragment)


def _scaffold(molecule: Chem.Mol) -> str:
    if not molecule.GetRingInfo().NumRings():
        return ""
    scaffold = MurckoScaffold.GetScaffoldForMol(molecule)  # type: ignore[no-untyped-call]
    return str(Chem.MolToSmiles(scaffold, isomericSmiles=False))


def _repaired(smiles: str) -> Chem.Mol | None:
    molecule = Chem.MolFromSmiles(smiles, sanitize=False)
    if molecule is None:
        return None
    found = False
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() != _PHOSPHORUS or atom.GetNumExplicitHs() != 1:
            continue
        double = [
            bond
            for bond in atom.GetBonds()
            if bond.GetBondType() == Chem.BondType.DOUBLE
            and bond.GetOtherAtom(atom).GetAtomicNum() == _OXYGEN
        ]
        if len(double) > 1:
            double[-1].SetBondType(Chem.BondType.SINGLE)
            atom.SetNumExplicitHs(0)
            found = True
    # Written and read again, so that the hydrogen is counted at its new place.
    return Chem.MolFromSmiles(Chem.MolToSmiles(molecule)) if found else None
