"""``esol``: solubility in water of 1,128 molecules (Delaney, 2004), one task per chemical series.

Delaney, "ESOL: estimating aqueous solubility directly from molecular structure", J. Chem. Inf.
Comput. Sci. 44 (2004); file of MoleculeNet. Upstream has neither tasks nor a few-shot split; both
are ours, and no published number exists for them. A task is a series: a molecule belongs to the
first entry of `SERIES` that fits, so tasks, and with them splits, share no molecule. The series are
split in ascending order of the SHA-256 of their names, cut by `SIZES`. Targets are the measured
base-10 logarithms of mol per litre.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

from rdkit import Chem

from metabench.tasks.data import TaskData
from metabench.tasks.files import SourceContext
from metabench_molecules.assays import Assays, Row
from metabench_molecules.cleaning import Cleaned, clean
from metabench_molecules.files import ESOL
from metabench_molecules.reading import broken, parse_csv, read

VALUE = "measured log solubility in mols per litre"
SIZES = {"train": 12, "val": 3, "test": 7}
BENZENE = "c1ccccc1"
ANY = "*"


@dataclass(frozen=True)
class Series:
    """A chemical series.

    Attributes:
        name: Its name.
        has: SMARTS that a member contains.
        rings: The fewest and the most rings of a member.
    """

    name: str
    has: str
    rings: tuple[int, int] = (0, 99)


SERIES = (
    Series("acyclic with N, S or P", "[#7,#15,#16]", (0, 0)),
    Series("acyclic carbonyls", "C=O", (0, 0)),
    Series("acyclic alcohols and ethers", "[#8]", (0, 0)),
    Series("acyclic halides", "[F,Cl,Br,I]", (0, 0)),
    Series("acyclic hydrocarbons", ANY, (0, 0)),
    Series(
        "steroids",
        "[R]1~[R]~[R]~[R]2~[R](~[R]~1)~[R]~[R]~[R]1~[R]~2~[R]~[R]~[R]2~[R]~1~[R]~[R]~[R]~2",
    ),
    Series("barbiturates", "O=C1CC(=O)NC(=O)N1"),
    Series("biphenyls", "c1ccccc1-!@c1ccccc1"),
    Series("bridged diphenyls", "c1ccccc1-!@[!c]-!@c1ccccc1"),
    Series("fused arenes", "c1ccc2ccccc2c1"),
    Series("benzenes with S or P", f"[#15,#16].{BENZENE}", (1, 1)),
    Series("benzenes with a urea or carbamate", f"[#7]C(=O)[#7,#8].{BENZENE}", (1, 1)),
    Series("benzenes with a carbonyl", f"C=O.{BENZENE}", (1, 1)),
    Series("benzenes with N", f"[#7].{BENZENE}", (1, 1)),
    Series("benzenes with O", f"[#8].{BENZENE}", (1, 1)),
    Series("benzenes with a halogen", f"[F,Cl,Br,I].{BENZENE}", (1, 1)),
    Series("alkylbenzenes", BENZENE, (1, 1)),
    Series("single heteroarenes", "[n,o,s]", (1, 1)),
    Series("several rings, a heteroarene", "[n,o,s]"),
    Series("several rings, a benzene", BENZENE),
    Series("single alicycles", ANY, (1, 1)),
    Series("several alicycles", ANY),
)


def esol(context: SourceContext) -> TaskData:
    """Load the series.

    Args:
        context: Where ``delaney-processed.csv`` is.

    Returns:
        Regression tasks with one value per molecule.

    Raises:
        UnavailableError: If the file is missing or damaged.
    """
    notes = ["tasks are chemical series of metabench's own"]
    path, text = read(context, ESOL, notes)
    members: dict[str, list[Row]] = {series.name: [] for series in SERIES}
    assays = Assays(context.source)
    for place, row in parse_csv(path, text, ("smiles", VALUE)):
        try:
            value = float(row[VALUE])
        except ValueError as error:
            raise broken(f"{place}, column {VALUE!r}", f"{row[VALUE]!r} is no number") from error
        if not -100 < value < 100:  # noqa: PLR2004 - ten to the hundredth: no solubility, or NaN
            raise broken(f"{place}, column {VALUE!r}", f"{row[VALUE]!r} is no solubility")
        found = clean(row["smiles"])
        if isinstance(found, Cleaned):
            members[series_of(found.smiles)].append(Row(row["smiles"], value, place))
        else:
            assays.molecules.index(row["smiles"], place)
    for split, names in splits().items():
        for name in names:
            assays.regression(split, name, members[name])
    return assays.data(notes)


def splits() -> dict[str, list[str]]:
    """Return the names of the series in each split."""
    order = sorted(
        (series.name for series in SERIES), key=lambda n: hashlib.sha256(n.encode()).hexdigest()
    )
    cut = {}
    for split, size in SIZES.items():
        cut[split], order = order[:size], order[size:]
    return cut


def series_of(smiles: str) -> str:
    """Return the name of the first series that fits a cleaned molecule."""
    molecule = Chem.MolFromSmiles(smiles)
    rings = molecule.GetRingInfo().NumRings()
    for series in SERIES:
        fewest, most = series.rings
        if fewest <= rings <= most and molecule.HasSubstructMatch(_pattern(series.has)):
            return series.name
    raise AssertionError(f"the last series takes every molecule, but not {smiles}")


@cache
def _pattern(smarts: str) -> Chem.Mol:
    return Chem.MolFromSmarts(smarts)
