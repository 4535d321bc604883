"""``drug-fragments`` and ``drug-fragments-values``: synthetic molecules with exact endpoints.

1,520 molecules assembled by RDKit from the fragments in `metabench_molecules.fragments`. Nothing is
measured; labels are true by definition, and the sources stand in for no assay. Cores, and so
molecules and scaffolds, are disjoint between the splits, and the endpoints of the test split use
properties and substructures of which training has none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from metabench.tasks.data import Task, TaskData
from metabench.tasks.files import SourceContext
from metabench_molecules.assays import Molecules
from metabench_molecules.fragments import PATTERNS, PROPERTIES, assemble, match, measure

SEED = 20_260
TASKS = {"train": 40, "val": 10, "test": 20}
MOLECULES = 160
"""Molecules of a task, drawn from those of its split."""
BASE_RATE = (0.2, 0.8)
USED = {
    "train": (
        ("weight", "rotatable bonds", "share of sp3 carbons", "aromatic rings", "acceptors"),
        (
            "a halogen",
            "an ether",
            "a carboxylic acid",
            "a basic amine",
            "a pyridine-like N",
            "an aryl bound to an aryl",
            "a quaternary carbon",
        ),
    ),
    "val": (
        ("heteroatoms", "molar refractivity"),
        ("an ester", "a thioether or thiol", "a nitrile", "a benzene"),
    ),
    "test": (
        ("logP", "polar surface", "donors", "shape (kappa 2)"),
        ("an amide", "a hydroxyl", "a sulfonyl", "a saturated ring", "an NH"),
    ),
}
"""The properties and substructures from which the endpoints of each split are made."""
SUMMED = 3
KINDS = ("above", "within", "has", "and", "or")
_NOTE = "synthetic: assembled from fragments, endpoints computed by RDKit"

Values = npt.NDArray[np.float64]
Found = npt.NDArray[np.bool_]


def drug_fragments(context: SourceContext) -> TaskData:
    """Build 70 binary endpoints.

    Args:
        context: Unused; nothing is read.

    Returns:
        Tasks named by what a positive molecule has, such as ``an amide and logP > 1.8``.
    """
    del context
    molecules, rows, values, found = _molecules()
    splits = {}
    for number, (split, count) in enumerate(TASKS.items()):
        rng = np.random.Generator(np.random.Philox(key=[SEED, 1 + number]))
        tasks: dict[str, Task] = {}
        while len(tasks) < count:
            items = np.sort(rng.choice(rows[split], _size(rows[split]), replace=False))
            kind = KINDS[len(tasks) % len(KINDS)]
            name, labels = _endpoint(rng, split, kind, values[items], found[items])
            if name not in tasks and BASE_RATE[0] <= labels.mean() <= BASE_RATE[1]:
                tasks[name] = Task(name, items, labels.astype(np.int64))
        splits[split] = tuple(tasks.values())
    return molecules.data(splits, (_NOTE,))


def drug_fragments_values(context: SourceContext) -> TaskData:
    """Build 70 regression tasks: sums of three standardised properties with a task's own weights.

    Args:
        context: Unused; nothing is read.

    Returns:
        Tasks named by their formula; over a split's molecules a target has mean 0 and variance 1.
        Here all splits use all properties, and differ in weights and molecules.
    """
    del context
    molecules, rows, values, _ = _molecules()
    names = list(PROPERTIES)
    splits = {}
    for number, (split, count) in enumerate(TASKS.items()):
        rng = np.random.Generator(np.random.Philox(key=[SEED, 101 + number]))
        standard = _standardised(values[rows[split]])
        tasks: dict[str, Task] = {}
        while len(tasks) < count:
            chosen = rng.choice(len(names), SUMMED, replace=False)
            weights = rng.uniform(0.5, 1.5, SUMMED) * rng.choice((-1.0, 1.0), SUMMED)
            target = _standardised(standard[:, chosen] @ weights)
            kept = np.sort(rng.choice(len(target), _size(target), replace=False))
            pairs = zip(weights, chosen, strict=True)
            name = " ".join(f"{w:+.3f} {names[c]}" for w, c in pairs)
            tasks[name] = Task(name, rows[split][kept], target[kept].astype(np.float32))
        splits[split] = tuple(tasks.values())
    return molecules.data(splits, (_NOTE,))


def _molecules() -> tuple[Molecules, dict[str, npt.NDArray[np.int64]], Values, Found]:
    """Return the molecules, the rows of each split, and what RDKit computes of every row."""
    molecules = Molecules()
    built = assemble(SEED)
    for number, one in enumerate(built):
        if molecules.index(one.smiles, f"molecule {number}") != number:
            raise AssertionError(f"{one.smiles} is not as RDKit writes it")
    rows = {
        split: np.array([i for i, one in enumerate(built) if one.split == split], dtype=np.int64)
        for split in TASKS
    }
    smiles = [one.smiles for one in built]
    return molecules, rows, measure(smiles), match(smiles)


def _size(rows: npt.NDArray[np.generic]) -> int:
    return min(MOLECULES, len(rows))


def _standardised(values: Values) -> Values:
    result: Values = (values - values.mean(0)) / values.std(0)
    return result


def _endpoint(
    rng: np.random.Generator, split: str, kind: str, values: Values, found: Found
) -> tuple[str, Found]:
    properties, patterns = USED[split]
    column = int(rng.integers(len(properties)))
    other = int(rng.integers(len(patterns)))
    low, high = np.sort(rng.uniform(0.15, 0.85, 2))
    value = values[:, list(PROPERTIES).index(properties[column])]
    has = found[:, list(PATTERNS).index(patterns[other])]
    cuts = np.quantile(value, (low, high), method="lower")
    lowest, highest = (round(float(cut), 2) for cut in cuts)
    above = value > lowest
    if kind == "above":
        return f"{properties[column]} > {lowest}", above
    if kind == "within":
        return f"{lowest} < {properties[column]} <= {highest}", above & (value <= highest)
    if kind == "has":
        # Only so many substructures: a negated one, or one of two, is an endpoint as well.
        second = int(rng.integers(len(patterns)))
        both = found[:, list(PATTERNS).index(patterns[second])]
        if second == other:
            return patterns[other], has
        return f"{patterns[other]} but not {patterns[second]}", has & ~both
    if kind == "and":
        return f"{patterns[other]} and {properties[column]} > {lowest}", has & above
    return f"{patterns[other]} or {properties[column]} > {lowest}", has | above
