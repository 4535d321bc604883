"""SMILES as tensors: ASCII bytes, padded once, with a length per row.

The modality ``molecule`` has the inputs ``{"smiles": uint8 [n, L], "length": int32 [n]}`` with
canonical SMILES of cleaned molecules. A source makes them with `pack`; an encoder turns them back
into molecules with `molecules` in its ``prepare``. Nothing here imports RDKit before it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from metabench.errors import MetabenchError

if TYPE_CHECKING:
    from rdkit.Chem import Mol

MODALITY = "molecule"


def pack(smiles: Sequence[str]) -> dict[str, Tensor]:
    """Encode SMILES as tensors.

    Args:
        smiles: One per molecule.

    Returns:
        ``smiles``, uint8 ``[n, L]`` padded with zeros to the longest, and ``length``, int32
        ``[n]``.

    Raises:
        MetabenchError: If one is not ASCII; the message names its row.
    """
    encoded = []
    for row, text in enumerate(smiles):
        try:
            encoded.append(text.encode("ascii"))
        except UnicodeEncodeError as error:
            raise MetabenchError(f"SMILES in row {row} is not ASCII: {text!r}") from error
    length = np.array([len(raw) for raw in encoded], dtype=np.int32)
    buffer = np.zeros((len(encoded), max(1, length.max(initial=0))), dtype=np.uint8)
    for row, raw in enumerate(encoded):
        buffer[row, : len(raw)] = np.frombuffer(raw, dtype=np.uint8)
    return {"smiles": torch.from_numpy(buffer), "length": torch.from_numpy(length)}


def unpack(inputs: Mapping[str, Tensor]) -> list[str]:
    """Decode what `pack` encoded.

    Args:
        inputs: ``smiles`` and ``length``, on any device.

    Returns:
        One SMILES per row.

    Raises:
        MetabenchError: If a row is not ASCII or its length is impossible; the message names it.
    """
    buffer = inputs["smiles"].cpu().numpy()
    texts = []
    for row, length in enumerate(inputs["length"].cpu().tolist()):
        if not 0 <= length <= buffer.shape[1]:
            raise MetabenchError(
                f"SMILES in row {row} has length {length}, outside 0..{buffer.shape[1]}"
            )
        try:
            texts.append(buffer[row, :length].tobytes().decode("ascii"))
        except UnicodeDecodeError as error:
            raise MetabenchError(f"SMILES in row {row} is not ASCII: {error}") from error
    return texts


def molecules(inputs: Mapping[str, Tensor]) -> Iterator[Mol]:
    """Parse the SMILES of a source, for an encoder.

    Args:
        inputs: ``smiles`` and ``length``.

    Yields:
        One molecule per row, with at least one atom.

    Raises:
        MetabenchError: If a row does not parse or is empty; the message names it.
    """
    from rdkit import Chem, rdBase  # noqa: PLC0415 - only a cell with molecules needs it

    for row, smiles in enumerate(unpack(inputs)):
        with rdBase.BlockLogs():
            molecule: Mol | None = Chem.MolFromSmiles(smiles)
        if molecule is None or not molecule.GetNumAtoms():
            raise MetabenchError(
                f"SMILES in row {row} is no molecule: {smiles!r}; a source has to leave it out"
            )
        yield molecule
