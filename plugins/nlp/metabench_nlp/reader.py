"""Users' own texts to bytes."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from metabench.errors import UsageError
from metabench.tasks.reading import (
    BadItemError,
    Fault,
    Item,
    ItemReader,
    ReadItems,
    Shapes,
    identity_of,
    item_bytes,
)
from metabench_nlp.text import identity, tidy

MAX_TEXT = 4096
"""Bytes that are kept of a text: no encoder here reads more than 512 tokens."""
MAX_READ = 64 * 1024
"""Bytes of a file, or characters of a value, that are looked at: what follows is never kept."""
MAX_BYTES = 512 * 1024**2
"""Bytes of all texts together, which are padded to the longest."""
LEAST_TEXT = 128


class TextReader(ItemReader):
    """Values of a column, or .txt files, to UTF-8 bytes.

    Words are joined with single spaces. All texts are padded to the longest; one of more than 4096
    bytes is cut, and where there are very many texts, so that all of them stay within 512 MiB.

    Args:
        encoding: Of files.
    """

    any_length = True

    def __init__(self, encoding: str = "utf-8") -> None:
        try:
            self._encoding = codecs.lookup(encoding).name
        except LookupError:
            raise UsageError(
                f"unknown encoding {encoding!r}; common ones are utf-8, latin-1, cp1252, utf-16"
            ) from None

    def read(self, items: Sequence[Item], like: Shapes | None = None) -> ReadItems:
        """Read texts.

        Args:
            items: Texts, or paths or bytes of .txt files.
            like: ``bytes`` ``(L,)``.

        Returns:
            ``bytes``, uint8 ``[m, L]``, and ``length``, int32 ``[m]``.
        """
        room = MAX_BYTES // max(1, len(items))
        most = like["bytes"][0] if like else min(MAX_TEXT, max(LEAST_TEXT, room))
        encoded: list[bytes] = []
        kept: list[int] = []
        same: list[int] = []
        faults: list[Fault] = []
        cut = 0
        for position in range(len(items)):
            try:
                text = self._text(items[position])
                whole = text.encode()
            except BadItemError as reason:
                faults.append((position, str(reason)))
                continue
            except UnicodeEncodeError:
                faults.append((position, "holds half of a surrogate pair, which is no text"))
                continue
            cut += len(whole) > most
            encoded.append(_cut(whole, most))
            same.append(identity_of(identity(text).encode()))
            kept.append(position)
        length = np.array([len(raw) for raw in encoded], dtype=np.int32)
        width = most if like else max(1, int(length.max(initial=0)))
        buffer = np.zeros((len(encoded), width), np.uint8)
        for row, raw in enumerate(encoded):
            buffer[row, : len(raw)] = np.frombuffer(raw, np.uint8)
        return ReadItems(
            {"bytes": torch.from_numpy(buffer), "length": torch.from_numpy(length)},
            np.array(kept, np.int64),
            tuple(faults),
            identity=np.array(same, np.uint64),
            notes=(f"{cut} texts cut to {most} bytes",) if cut else (),
        )

    def _decoder(self) -> codecs.IncrementalDecoder:
        """Make a decoder that leaves a character aside that was cut in two."""
        name = "utf-8-sig" if self._encoding == "utf-8" else self._encoding
        return codecs.getincrementaldecoder(name)()

    def _text(self, item: Item) -> str:
        if isinstance(item, Path | bytes):
            raw = item_bytes(item)
            try:
                item = self._decoder().decode(raw[:MAX_READ], final=len(raw) <= MAX_READ)
            except UnicodeDecodeError as error:
                raise BadItemError(
                    f"is not {self._encoding} at byte {error.start}; name its encoding"
                ) from error
        if not isinstance(item, str):
            raise BadItemError(f"is {type(item).__name__}, and no text")
        text = tidy(item[:MAX_READ])
        if not text:
            raise BadItemError("is blank")
        return text


def _cut(raw: bytes, most: int) -> bytes:
    """Cut between two characters."""
    return raw if len(raw) <= most else raw[:most].decode(errors="ignore").encode()
