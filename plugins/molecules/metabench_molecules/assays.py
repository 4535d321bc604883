"""Rows of (SMILES, label) to task data: every molecule once, and a note of all that was left out.

Within one assay a molecule that comes twice with one label is kept once; with both labels it is
left out of that assay, since nothing says which is right. In regression its values are averaged.
A binary assay of which one class is left is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from metabench.errors import UnavailableError
from metabench.tasks.data import Task, TaskData, TaskPool
from metabench_molecules.cleaning import Cleaned, clean
from metabench_molecules.smiles import MODALITY, pack

_NAMED = 3
_WHY = {"unparsable": "SMILES that RDKit does not parse", "empty": "SMILES without an atom"}


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        smiles: As upstream writes it.
        value: 0 or 1; in regression the value.
        place: File and line, for notes.
    """

    smiles: str
    value: float
    place: str


class Molecules:
    """The distinct cleaned molecules of a source, in the order in which they come."""

    def __init__(self) -> None:
        self._of_raw: dict[str, int] = {}
        self._of_clean: dict[str, int] = {}
        self._smiles: list[str] = []
        self._scaffolds: list[str] = []
        self._fate: dict[str, str] = {}
        self._rows: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def index(self, smiles: str, place: str) -> int | None:
        """Return a molecule's index in the inputs, or ``None`` if the SMILES is none."""
        if smiles not in self._of_raw and smiles not in self._fate:
            self._take(smiles)
        if fate := self._fate.get(smiles):
            self._rows[fate] += 1
            if fate in _WHY:
                examples = self._examples.setdefault(fate, [])
                if len(examples) < _NAMED:
                    examples.append(f"{PurePath(place).name}: {smiles!r}")
        return self._of_raw.get(smiles)

    def data(self, splits: Mapping[str, Sequence[Task]], notes: Iterable[str]) -> TaskData:
        """Build the task data; groups are Murcko scaffolds, -1 for molecules without rings."""
        number: dict[str, int] = {}
        groups = [number.setdefault(s, len(number)) if s else -1 for s in self._scaffolds]
        return TaskData(
            MODALITY,
            pack(self._smiles),
            {split: TaskPool(tuple(tasks)) for split, tasks in splits.items()},
            groups=np.array(groups, dtype=np.int64),
            notes=(*notes, *self._notes()),
        )

    def _take(self, smiles: str) -> None:
        found = clean(smiles)
        if not isinstance(found, Cleaned):
            self._fate[smiles] = found
            return
        if found.repaired:
            self._fate[smiles] = "repaired"
        elif found.stripped:
            self._fate[smiles] = "stripped"
        position = self._of_clean.setdefault(found.smiles, len(self._smiles))
        if position == len(self._smiles):
            self._smiles.append(found.smiles)
            self._scaffolds.append(found.scaffold)
        self._of_raw[smiles] = position

    def _notes(self) -> list[str]:
        notes = []
        for fate, what in _WHY.items():
            if count := self._rows[fate]:
                examples = "; ".join(self._examples[fate])
                notes.append(f"{count} measurements left out, {what}: {examples}")
        if count := self._rows["stripped"]:
            notes.append(
                f"{count} measurements are of salts or mixtures, their largest fragment taken"
            )
        if count := self._rows["repaired"]:
            notes.append(f"{count} measurements have [PH](=O)(=O) rewritten as P(=O)(O)")
        return notes


class Assays:
    """Builds the tasks of a source and counts what they lose.

    Args:
        source: The source's name, for the error.
    """

    def __init__(self, source: str) -> None:
        self.molecules = Molecules()
        self._source = source
        self._splits: dict[str, list[Task]] = {}
        self._lost: Counter[str] = Counter()
        self._one_class: list[str] = []

    def binary(self, split: str, name: str, rows: Iterable[Row], subset: str = "") -> None:
        """Add an assay with labels 0 and 1.

        Args:
            split: ``train``, ``val`` or ``test``.
            name: The assay's name.
            rows: Its measurements.
            subset: What kind of assay it is.
        """
        values = self._collect(rows)
        labels = {item: found[0] for item, found in values.items() if len(set(found)) == 1}
        self._lost["contradictory"] += len(values) - len(labels)
        if len(set(labels.values())) < 2:  # noqa: PLR2004 - two classes
            self._one_class.append(name)
            return
        self._add(split, name, labels, np.array(list(labels.values()), dtype=np.int64), subset)

    def regression(self, split: str, name: str, rows: Iterable[Row]) -> None:
        """Add a task with one value per molecule, float32."""
        values = {item: float(np.mean(found)) for item, found in self._collect(rows).items()}
        if values:
            self._add(split, name, values, np.array(list(values.values()), dtype=np.float32), "")

    def data(self, notes: Iterable[str] = ()) -> TaskData:
        """Build the task data.

        Args:
            notes: What was decided while reading.

        Returns:
            One pool of tasks per split that has any.

        Raises:
            UnavailableError: If no test task is left.
        """
        said = list(notes)
        if "test" not in self._splits:
            raise UnavailableError(
                f"{self._source}: no test task is left; {'; '.join(said) or 'no rows'}",
                "get the upstream files again",
            )
        if count := self._lost["contradictory"]:
            said.append(f"{count} times a molecule had both labels in an assay and was left out")
        if count := self._lost["repeated"]:
            said.append(f"{count} measurements repeat a molecule of their assay")
        if self._one_class:
            names = ", ".join(self._one_class[:_NAMED])
            more = len(self._one_class) - _NAMED
            names += f" and {more} more" if more > 0 else ""
            said.append(f"{len(self._one_class)} assays left out, only one class: {names}")
        return self.molecules.data(self._splits, said)

    def _collect(self, rows: Iterable[Row]) -> dict[int, list[float]]:
        values: dict[int, list[float]] = {}
        for row in rows:
            item = self.molecules.index(row.smiles, row.place)
            if item is None:
                continue
            self._lost["repeated"] += item in values
            values.setdefault(item, []).append(row.value)
        return values

    def _add(
        self,
        split: str,
        name: str,
        items: Iterable[int],
        targets: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
        | np.ndarray[tuple[int, ...], np.dtype[np.float32]],
        subset: str,
    ) -> None:
        index = np.array(list(items), dtype=np.int64)
        task = Task(name, index, targets, subset=subset)
        self._splits.setdefault(split, []).append(task)
