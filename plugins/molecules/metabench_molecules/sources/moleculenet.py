"""``tox21`` and ``sider``: toxicity assays and side effects in the few-shot split of PAR.

Wu et al., "MoleculeNet: a benchmark for molecular machine learning", Chemical Science 2018; files
of Guo et al., "Few-shot graph learning for molecular property prediction", WWW 2021. The split by
assay is that of Wang et al., "Property-aware relation networks for few-shot molecular property
prediction", NeurIPS 2021 (``chem_lib/datasets/samples.py``): the label columns in the order of the
file, the last ones for testing. That split has no validation tasks, and the published numbers are
those of the weights that are best on the test tasks. Here all training tasks train, as in PAR, and
the last weights are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from metabench.hookspecs import DataFile
from metabench.tasks.data import TaskData
from metabench.tasks.files import SourceContext
from metabench_molecules.assays import Assays, Row
from metabench_molecules.files import SIDER, TOX21
from metabench_molecules.reading import broken, parse_csv, read

_VALUES = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}


@dataclass(frozen=True)
class Table:
    """One file with a column per assay.

    Attributes:
        file: The CSV file.
        train: How many label columns train; the others test.
        test: How many test.
        unlabelled: Columns that are no assays.
    """

    file: DataFile
    train: int
    test: int
    unlabelled: tuple[str, ...]


TABLES = {
    "tox21": Table(TOX21, 9, 3, ("mol_id", "smiles")),
    "sider": Table(SIDER, 21, 6, ("smiles",)),
}


def tox21(context: SourceContext) -> TaskData:
    """Load 12 assays on 7,831 molecules: 9 train, SR-HSE, SR-MMP and SR-p53 test."""
    return _load(context, TABLES["tox21"])


def sider(context: SourceContext) -> TaskData:
    """Load 27 side effects of 1,427 drugs: 21 train, 6 test."""
    return _load(context, TABLES["sider"])


def _load(context: SourceContext, table: Table) -> TaskData:
    notes = [f"split of PAR: {table.train} training and {table.test} test tasks, none to validate"]
    path, text = read(context, table.file, notes)
    rows = list(parse_csv(path, text, table.unlabelled))
    if not rows:
        raise broken(str(path), "no rows")
    columns = [column for column in rows[0][1] if column not in table.unlabelled]
    if len(columns) != table.train + table.test:
        raise broken(f"{path}: line 1", f"{len(columns)} assays, not {table.train + table.test}")
    assays = Assays(context.source)
    for number, column in enumerate(columns):
        split = "train" if number < table.train else "test"
        assays.binary(split, column, _measured(rows, column))
    return assays.data(notes)


def _measured(rows: list[tuple[str, dict[str, str]]], column: str) -> Iterator[Row]:
    for place, row in rows:
        value = row[column].strip()
        if not value:
            continue
        if value not in _VALUES:
            raise broken(f"{place}, column {column!r}", f"{value!r} is not 0, 1 or empty")
        yield Row(row["smiles"], _VALUES[value], place)
