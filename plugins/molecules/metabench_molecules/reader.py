"""Users' own SMILES to molecules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from metabench.tasks.reading import Fault, Item, ItemReader, ReadItems, Shapes, identity_of
from metabench_molecules.cleaning import Cleaned, clean
from metabench_molecules.smiles import pack

MAX_SMILES = 2000
"""Characters; what is longer is no small molecule, and would widen the table of all."""
_WHY = {
    "unparsable": "is no SMILES that RDKit parses",
    "empty": "is a SMILES without an atom",
    "large": f"is a SMILES of more than {MAX_SMILES} characters",
    "no text": "is no text",
    "longer": "is longer than any molecule that the model was made for",
}


class SmilesReader(ItemReader):
    """Values of a column to canonical SMILES of cleaned molecules, as in the built-in sources.

    Of a salt the largest fragment stays. Groups are Murcko scaffolds.
    """

    any_length = True

    def read(self, items: Sequence[Item], like: Shapes | None = None) -> ReadItems:
        """Read SMILES.

        Args:
            items: One SMILES each.
            like: ``smiles`` ``(L,)``; a molecule does not fit if its SMILES is longer.

        Returns:
            ``smiles``, uint8 ``[m, L]``, and ``length``, int32 ``[m]``.
        """
        most = like["smiles"][0] if like else MAX_SMILES
        kept: list[int] = []
        found: list[Cleaned] = []
        faults: list[Fault] = []
        known: dict[str, Cleaned | str] = {}
        for position in range(len(items)):
            item = items[position]
            text = item if isinstance(item, str) else ""
            if text not in known:
                known[text] = _clean(text) if isinstance(item, str) else "no text"
            one = known[text]
            if isinstance(one, Cleaned) and len(one.smiles) > most:
                one = "longer" if like else "large"
            if isinstance(one, Cleaned):
                kept.append(position)
                found.append(one)
            else:
                faults.append((position, _WHY[one]))
        inputs = pack([one.smiles for one in found])
        if like:
            wide = torch.zeros(len(found), most, dtype=torch.uint8)
            wide[:, : inputs["smiles"].shape[1]] = inputs["smiles"]
            inputs["smiles"] = wide
        return ReadItems(
            inputs,
            np.array(kept, np.int64),
            tuple(faults),
            identity=np.array([identity_of(one.smiles.encode()) for one in found], np.uint64),
            groups=tuple(one.scaffold for one in found),
            notes=_notes(found),
        )


def _clean(text: str) -> Cleaned | str:
    return "large" if len(text) > MAX_SMILES else clean(text)


def _notes(found: Sequence[Cleaned]) -> tuple[str, ...]:
    count = Counter({
        "are salts or mixtures, their largest fragment taken": sum(one.stripped for one in found),
        "have [PH](=O)(=O) rewritten as P(=O)(O)": sum(one.repaired for one in found),
    })  # fmt: skip
    return tuple(f"{number} molecules {what}" for what, number in count.items() if number)
