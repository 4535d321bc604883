"""What becomes of a SMILES."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from metabench.errors import MetabenchError, UnavailableError
from metabench_molecules.assays import Assays, Row
from metabench_molecules.cleaning import Cleaned, clean
from metabench_molecules.fragments import CORES, SUBSTITUENTS, join
from metabench_molecules.smiles import molecules, pack, unpack


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        (" OCC ", Cleaned("CCO", "")),
        ("[Na+].CC(=O)[O-]", Cleaned("CC(=O)[O-]", "", stripped=True)),
        ("CCO.CCCl", Cleaned("CCCl", "", stripped=True)),  # as many atoms, heavier
        ("CCC.CCC", Cleaned("CCC", "", stripped=True)),
        ("CC[PH](=O)(=O)O", Cleaned("CCP(=O)(O)O", "", repaired=True)),
        ("C[C@H](N)c1ccccc1", Cleaned("C[C@H](N)c1ccccc1", "c1ccccc1")),
        ("", "empty"),
        ("  ", "empty"),
        ("C1CC", "unparsable"),
        ("CC(C)(C)(C)C", "unparsable"),
        ("[PH](=O)(=O)(C)(C)C", "unparsable"),
        ("Żółć", "unparsable"),
    ],
)
def test_rules(smiles, expected):
    assert clean(smiles) == expected


def test_the_repair_keeps_the_formula():
    from rdkit.Chem.rdMolDescriptors import CalcMolFormula

    written = "Nc1ncnc2c1ncn2CCOC[PH](=O)(=O)O"
    found = clean(written)
    assert isinstance(found, Cleaned)
    raw = Chem.MolFromSmiles(written, sanitize=False)
    raw.UpdatePropertyCache(strict=False)
    assert CalcMolFormula(Chem.MolFromSmiles(found.smiles)) == CalcMolFormula(raw)


some_molecule = st.builds(
    join,
    st.sampled_from([core for cores in CORES.values() for core in cores]),
    st.sampled_from(SUBSTITUENTS),
    st.sampled_from(SUBSTITUENTS),
)


@settings(max_examples=40)
@given(some_molecule, st.integers(0, 2**31 - 1))
def test_cleaning_does_not_depend_on_how_a_molecule_is_written(smiles, seed):
    other = Chem.MolToRandomSmilesVect(Chem.MolFromSmiles(smiles), 1, randomSeed=seed)[0]
    found = clean(other)
    assert isinstance(found, Cleaned)
    assert found == clean(smiles)
    assert found == clean(found.smiles)
    salt = clean(f"{other}.Cl")
    assert isinstance(salt, Cleaned)
    assert salt.stripped
    assert (salt.smiles, salt.scaffold) == (found.smiles, found.scaffold)


def test_pack_and_unpack():
    texts = ["CCO", "C", "c1ccccc1"]
    inputs = pack(texts)
    assert inputs["smiles"].dtype == torch.uint8
    assert inputs["length"].tolist() == [3, 1, 8]
    assert unpack(inputs) == texts
    assert unpack(pack([])) == []


@pytest.mark.parametrize("smiles", ["", "C1CC"])
def test_an_encoder_names_the_row_that_is_no_molecule(smiles):
    with pytest.raises(MetabenchError, match="row 1"):
        list(molecules(pack(["C", smiles])))


def test_pack_and_unpack_name_the_row():
    with pytest.raises(MetabenchError, match="row 1"):
        pack(["C", "é"])
    inputs = pack(["C", "CC"])
    with pytest.raises(MetabenchError, match="row 0 has length 3"):
        unpack({**inputs, "length": torch.tensor([3, 1])})
    with pytest.raises(MetabenchError, match="row 0 is not ASCII"):
        unpack({**inputs, "smiles": torch.full((2, 2), 200, dtype=torch.uint8)})


def rows(*pairs):
    return [Row(smiles, value, f"/data/f.csv: line {i}") for i, (smiles, value) in enumerate(pairs)]


def test_duplicates_contradictions_and_one_class():
    assays = Assays("s")
    assays.binary("train", "one class", rows(("C", 1), ("CC", 1)))
    assays.binary("train", "empty", [])
    assays.binary(
        "test",
        "good",
        rows(("CCO", 1), ("OCC", 1), ("CCN", 0), ("C", 1), ("C", 0), ("bad", 1), ("", 0)),
        "kinases",
    )
    data = assays.data(["first"])
    (task,) = data.splits["test"].tasks
    assert [unpack(data.inputs)[i] for i in task.items] == ["CCO", "CCN"]
    assert task.targets.tolist() == [1, 0]
    assert task.subset == "kinases"
    assert set(data.splits) == {"test"}
    said = "\n".join(data.notes)
    assert data.notes[0] == "first"
    assert "1 times a molecule had both labels" in said
    assert "2 assays left out, only one class: one class, empty" in said
    assert "1 measurements left out, SMILES that RDKit does not parse: f.csv: line 5: 'bad'" in said
    assert "1 measurements left out, SMILES without an atom: f.csv: line 6: ''" in said
    assert "/data" not in said


def test_no_test_task_is_an_error_that_says_why():
    assays = Assays("s")
    assays.binary("test", "one class", rows(("C", 1)))
    with pytest.raises(UnavailableError, match="s: no test task is left"):
        assays.data()


def test_values_of_one_molecule_are_averaged():
    assays = Assays("s")
    assays.regression("test", "t", rows(("CCO", 1.0), ("C", 5.0), ("OCC", 2.0)))
    task = assays.data().splits["test"].tasks[0]
    assert task.targets.ravel().tolist() == [1.5, 5.0]


def test_groups_are_scaffolds():
    assays = Assays("s")
    smiles = ["Cc1ccccc1", "CCO", "Oc1ccccc1", "C1CCCCC1", "F[C@H]1CCCC[C@@H]1C"]
    assays.binary("test", "t", rows(*((s, i % 2) for i, s in enumerate(smiles))))
    assert assays.data().groups.tolist() == [0, -1, 0, 1, 1]
    assert assays.data().groups.dtype == np.int64
