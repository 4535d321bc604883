"""Users' own SMILES: one molecule however it is written, scaffolds, and what is none."""

import numpy as np
import pytest

from metabench_molecules.reader import SmilesReader
from metabench_molecules.smiles import unpack


def test_molecules_are_canonical_and_known_again():
    read = SmilesReader().read(["OCC", "C(C)O", "c1ccccc1C", "CCO.Cl"])
    assert unpack(read.inputs) == ["CCO", "CCO", "Cc1ccccc1", "CCO"]
    assert len(set(read.identity.tolist())) == 2
    assert read.groups == ("", "", "c1ccccc1", "")
    assert read.notes == ("1 molecules are salts or mixtures, their largest fragment taken",)


@pytest.mark.parametrize(
    ("item", "what"),
    [
        ("C1CC", "is no SMILES that RDKit parses"),
        ("", "is a SMILES without an atom"),
        ("C" * 3000, "is a SMILES of more than 2000 characters"),
        (np.zeros(3), "is no text"),
    ],
)
def test_what_is_no_molecule_is_a_fault_and_the_others_stay(item, what):
    read = SmilesReader().read(["CCO", item, "CCN"])
    assert read.kept.tolist() == [0, 2]
    assert read.faults == ((1, what),)


def test_the_shapes_of_a_saved_model():
    read = SmilesReader().read(["CCO", "CCCCCCCC"], {"smiles": (5,), "length": ()})
    assert read.inputs["smiles"].shape == (1, 5)
    assert read.faults == ((1, "is longer than any molecule that the model was made for"),)
