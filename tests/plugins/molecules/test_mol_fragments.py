"""The synthetic sources: exact labels, disjoint splits, the same bits every time."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import Crippen, rdMolDescriptors

from metabench.tasks.files import SourceContext
from metabench_molecules.fragments import CORES, PATTERNS, PER_CORE, PROPERTIES, assemble, join
from metabench_molecules.smiles import unpack
from metabench_molecules.sources.drug_fragments import (
    BASE_RATE,
    TASKS,
    USED,
    drug_fragments,
    drug_fragments_values,
)


@pytest.fixture(scope="module")
def binary():
    return drug_fragments(SourceContext("drug-fragments"))


@pytest.fixture(scope="module")
def values():
    return drug_fragments_values(SourceContext("drug-fragments-values"))


def test_join():
    assert join("c1cc([*:1])cc([*:2])c1", "Cl", "OC") == Chem.CanonSmiles("COc1cccc(Cl)c1")


def test_molecules_are_distinct_and_complete():
    built = assemble(5)
    assert len({one.smiles for one in built}) == len(built)
    for split, cores in CORES.items():
        assert sum(one.split == split for one in built) == PER_CORE * len(cores)
    assert not any("*" in one.smiles or "." in one.smiles for one in built)
    assert built == assemble(5)
    assert built != assemble(6)


@pytest.mark.parametrize("source", ["binary", "values"])
def test_splits_share_neither_molecules_nor_tasks(source, request):
    data = request.getfixturevalue(source)
    assert {s: len(pool.tasks) for s, pool in data.splits.items()} == TASKS
    items = [set(pool.items.tolist()) for pool in data.splits.values()]
    assert sum(map(len, items)) == len(set.union(*items))
    assert any("synthetic" in note for note in data.notes)
    assert min(len(t.items) for pool in data.splits.values() for t in pool.tasks) >= 64 + 64


def test_labels_are_what_the_name_says(binary):
    smiles = unpack(binary.inputs)
    checked = 0
    for pool in binary.splits.values():
        for task in pool.tasks:
            truth = [_evaluate(task.name, Chem.MolFromSmiles(smiles[i])) for i in task.items]
            assert task.targets.tolist() == truth, task.name
            assert BASE_RATE[0] <= np.mean(truth) <= BASE_RATE[1]
            checked += 1
    assert checked == sum(TASKS.values())


def _evaluate(name, molecule):
    """Read an endpoint's name as a person would."""
    if " but not " in name:
        first, second = name.split(" but not ")
        return int(_evaluate(first, molecule) and not _evaluate(second, molecule))
    if " or " in name and name not in PATTERNS:
        for split in range(name.count(" or ")):
            parts = name.split(" or ")
            first, second = " or ".join(parts[: split + 1]), " or ".join(parts[split + 1 :])
            if first in PATTERNS:
                return int(_evaluate(first, molecule) or _evaluate(second, molecule))
    if " and " in name:
        first, second = name.split(" and ")
        return int(_evaluate(first, molecule) and _evaluate(second, molecule))
    if " <= " in name:
        low, rest = name.split(" < ")
        prop, high = rest.split(" <= ")
        return int(float(low) < PROPERTIES[prop](molecule) <= float(high))
    if " > " in name:
        prop, low = name.split(" > ")
        return int(PROPERTIES[prop](molecule) > float(low))
    return int(molecule.HasSubstructMatch(Chem.MolFromSmarts(PATTERNS[name])))


def test_test_endpoints_use_nothing_of_training(binary):
    used = {split: {*a, *b} for split, (a, b) in USED.items()}
    assert not used["train"] & used["test"]
    assert not used["train"] & used["val"]
    assert not used["val"] & used["test"]
    for split, pool in binary.splits.items():
        others = set.union(*(names for name, names in used.items() if name != split))
        for task in pool.tasks:
            assert not any(other in task.name for other in others), task.name


def test_values_are_sums_of_standardised_properties(values):
    smiles = unpack(values.inputs)
    pool = values.splits["test"]
    rows = np.array([i for i, one in enumerate(assemble_of(values)) if one == "test"])
    table = {
        "logP": Crippen.MolLogP,
        "polar surface": rdMolDescriptors.CalcTPSA,
        **PROPERTIES,
    }
    for task in pool.tasks[:3]:
        words = task.name.replace(" -", "|-").replace(" +", "|+").split("|")
        total = np.zeros(len(rows))
        for word in words:
            weight, name = word.split(" ", 1)
            column = np.array([float(table[name](Chem.MolFromSmiles(smiles[i]))) for i in rows])
            total += float(weight) * (column - column.mean()) / column.std()
        total = (total - total.mean()) / total.std()
        found = dict(zip(rows.tolist(), total.tolist(), strict=True))
        expected = [found[i] for i in task.items.tolist()]
        np.testing.assert_allclose(task.targets.ravel(), expected, atol=5e-3)


def assemble_of(data):
    from metabench_molecules.sources.drug_fragments import SEED

    built = assemble(SEED)
    assert [one.smiles for one in built] == unpack(data.inputs)
    return [one.split for one in built]


def test_generation_is_reproducible(binary):
    assert drug_fragments(SourceContext("drug-fragments")).digest == binary.digest
