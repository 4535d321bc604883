"""Text as tensors: UTF-8 bytes, padded once, with a length per row.

The modality ``text`` has the inputs ``{"bytes": uint8 [n, L], "length": int32 [n]}``. A source
makes them with `pack`; an encoder turns them back into strings with `unpack` in its ``prepare``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from metabench.errors import MetabenchError

MODALITY = "text"
_NOT_A_WORD = re.compile(r"[\W_]+")


def tidy(text: str) -> str:
    """Join the words of a text with single spaces."""
    return " ".join(text.split())


def identity(text: str) -> str:
    """Return what two texts share when they differ in case, punctuation or spaces only."""
    return _NOT_A_WORD.sub(" ", text.casefold()).strip() or text


def pack(texts: Sequence[str]) -> dict[str, Tensor]:
    """Encode texts as tensors.

    Args:
        texts: One text per example.

    Returns:
        ``bytes``, uint8 ``[n, L]`` padded with zeros to the longest text, and ``length``, int32
        ``[n]``.

    Raises:
        MetabenchError: If a text cannot be written in UTF-8; the message names its row.
    """
    encoded = []
    for row, text in enumerate(texts):
        try:
            encoded.append(text.encode())
        except UnicodeEncodeError as error:
            raise MetabenchError(f"text in row {row} is not UTF-8: {error}") from error
    length = np.array([len(raw) for raw in encoded], dtype=np.int32)
    buffer = np.zeros((len(encoded), max(1, length.max(initial=0))), dtype=np.uint8)
    for row, raw in enumerate(encoded):
        buffer[row, : len(raw)] = np.frombuffer(raw, dtype=np.uint8)
    return {"bytes": torch.from_numpy(buffer), "length": torch.from_numpy(length)}


def unpack(inputs: Mapping[str, Tensor]) -> list[str]:
    """Decode what `pack` encoded.

    Args:
        inputs: ``bytes`` and ``length``, on any device.

    Returns:
        One text per row.

    Raises:
        MetabenchError: If a row is not UTF-8 or its length is impossible; the message names it.
    """
    buffer = inputs["bytes"].cpu().numpy()
    texts = []
    for row, length in enumerate(inputs["length"].cpu().tolist()):
        if not 0 <= length <= buffer.shape[1]:
            raise MetabenchError(
                f"text in row {row} has length {length}, outside 0..{buffer.shape[1]}"
            )
        try:
            texts.append(buffer[row, :length].tobytes().decode())
        except UnicodeDecodeError as error:
            raise MetabenchError(f"text in row {row} is not UTF-8: {error}") from error
    return texts


def pad(rows: Iterable[Sequence[int]], dtype: torch.dtype = torch.int32) -> dict[str, Tensor]:
    """Pad sequences of token ids once.

    Args:
        rows: The ids of each example.
        dtype: The dtype of the ids.

    Returns:
        ``ids`` ``[n, T]`` padded on the right with zeros, and ``length``, int32 ``[n]``.
    """
    sequences = list(rows)
    length = torch.tensor([len(sequence) for sequence in sequences], dtype=torch.int32)
    longest = max(1, *(len(sequence) for sequence in sequences)) if sequences else 1
    ids = torch.zeros(len(sequences), longest, dtype=dtype)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence, dtype=dtype)
    return {"ids": ids, "length": length}
