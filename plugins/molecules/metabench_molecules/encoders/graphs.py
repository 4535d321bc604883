"""Molecules as padded integer tensors, small enough to keep all of FS-Mol in memory.

``atoms`` uint8 ``[n, A, 8]`` holds one category per feature of an atom; categories of different
features have different numbers, so that the features of an atom are eight ones in a vector of
`ATOM_CATEGORIES`; 0 is padding. ``ends`` uint8 ``[n, E, 2]`` are the two atoms of a bond, 255 is
padding. ``bonds`` uint8 ``[n, E, 4]`` are the categories of a bond, likewise. ``size`` int32
``[n, 2]`` counts atoms and bonds. Features are those of Hu et al. (2020, appendix C) and of OGB, as
far as they tell drug-like molecules apart.
"""

from __future__ import annotations

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor

NO_ATOM = 255

_ELEMENTS = (5, 6, 7, 8, 9, 11, 14, 15, 16, 17, 19, 30, 33, 34, 35, 53)
_DEGREES = 6
_CHARGES = 2
_HYDROGENS = 4
_CHIRALITY = (
    Chem.ChiralType.CHI_UNSPECIFIED,
    Chem.ChiralType.CHI_TETRAHEDRAL_CW,
    Chem.ChiralType.CHI_TETRAHEDRAL_CCW,
)
_HYBRIDIZATION = (
    Chem.HybridizationType.S,
    Chem.HybridizationType.SP,
    Chem.HybridizationType.SP2,
    Chem.HybridizationType.SP3,
)
_ORDERS = (
    Chem.BondType.SINGLE,
    Chem.BondType.DOUBLE,
    Chem.BondType.TRIPLE,
    Chem.BondType.AROMATIC,
)
_STEREO = (Chem.BondStereo.STEREONONE, Chem.BondStereo.STEREOZ, Chem.BondStereo.STEREOE)


def _offsets(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the number of each feature's first category; 0 stays free."""
    return tuple(1 + sum(sizes[:i]) for i in range(len(sizes)))


# "+ 1" is for everything else.
_ATOM_SIZES = (
    len(_ELEMENTS) + 1,
    _DEGREES + 1,
    2 * _CHARGES + 1,
    _HYDROGENS + 1,
    len(_CHIRALITY) + 1,
    len(_HYBRIDIZATION) + 1,
    2,
    2,
)
_BOND_SIZES = (len(_ORDERS) + 1, len(_STEREO) + 1, 2, 2)
_ATOM_OFFSETS = _offsets(_ATOM_SIZES)
_BOND_OFFSETS = _offsets(_BOND_SIZES)
ATOM_CATEGORIES = 1 + sum(_ATOM_SIZES)
BOND_CATEGORIES = 1 + sum(_BOND_SIZES)

_ELEMENT_OF = {number: position for position, number in enumerate(_ELEMENTS)}
_CHIRALITY_OF = {kind: position for position, kind in enumerate(_CHIRALITY)}
_HYBRIDIZATION_OF = {kind: position for position, kind in enumerate(_HYBRIDIZATION)}
_ORDER_OF = {kind: position for position, kind in enumerate(_ORDERS)}
_STEREO_OF = {kind: position for position, kind in enumerate(_STEREO)}


class GraphBuilder:
    """Collects molecules and pads them once.

    Args:
        max_atoms: Of a larger molecule only the first atoms in the order of its SMILES stay, with
            the bonds between them; at most 254.
    """

    def __init__(self, max_atoms: int) -> None:
        if not 1 <= max_atoms < NO_ATOM:
            raise ValueError(f"max_atoms={max_atoms} is not in 1..{NO_ATOM - 1}")
        self._max = max_atoms
        self._atoms: list[bytes] = []
        self._ends: list[bytes] = []
        self._bonds: list[bytes] = []

    def add(self, molecule: Chem.Mol) -> None:
        """Add one molecule."""
        atoms = bytearray()
        for atom in molecule.GetAtoms():
            if atom.GetIdx() == self._max:
                break
            atoms.extend(_atom(atom))
        ends, bonds = bytearray(), bytearray()
        for bond in molecule.GetBonds():
            first, second = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
            if first < self._max and second < self._max:
                ends.extend((first, second))
                bonds.extend(_bond(bond))
        self._atoms.append(bytes(atoms))
        self._ends.append(bytes(ends))
        self._bonds.append(bytes(bonds))

    def tensors(self) -> dict[str, Tensor]:
        """Return ``atoms``, ``ends``, ``bonds`` and ``size`` of all molecules."""
        sizes = np.array(
            [(len(a) // len(_ATOM_SIZES), len(e) // 2) for a, e in zip(self._atoms, self._ends)],  # noqa: B905 - filled together
            dtype=np.int32,
        ).reshape(-1, 2)
        return {
            "atoms": _padded(self._atoms, len(_ATOM_SIZES), 0),
            "ends": _padded(self._ends, 2, NO_ATOM),
            "bonds": _padded(self._bonds, len(_BOND_SIZES), 0),
            "size": torch.from_numpy(sizes),
        }


def _atom(atom: Chem.Atom) -> tuple[int, ...]:
    values = (
        _ELEMENT_OF.get(atom.GetAtomicNum(), len(_ELEMENTS)),
        min(atom.GetDegree(), _DEGREES),
        min(max(atom.GetFormalCharge(), -_CHARGES), _CHARGES) + _CHARGES,
        min(atom.GetTotalNumHs(), _HYDROGENS),
        _CHIRALITY_OF.get(atom.GetChiralTag(), len(_CHIRALITY)),
        _HYBRIDIZATION_OF.get(atom.GetHybridization(), len(_HYBRIDIZATION)),
        int(atom.GetIsAromatic()),
        int(atom.IsInRing()),
    )
    return tuple(map(int.__add__, values, _ATOM_OFFSETS))


def _bond(bond: Chem.Bond) -> tuple[int, ...]:
    values = (
        _ORDER_OF.get(bond.GetBondType(), len(_ORDERS)),
        _STEREO_OF.get(bond.GetStereo(), len(_STEREO)),
        int(bond.GetIsConjugated()),
        int(bond.IsInRing()),
    )
    return tuple(map(int.__add__, values, _BOND_OFFSETS))


def _padded(rows: list[bytes], features: int, padding: int) -> Tensor:
    longest = max(map(len, rows), default=0) // features
    full = np.full((len(rows), max(1, longest) * features), padding, dtype=np.uint8)
    for row, raw in enumerate(rows):
        full[row, : len(raw)] = np.frombuffer(raw, dtype=np.uint8)
    return torch.from_numpy(full.reshape(len(rows), max(1, longest), features))
