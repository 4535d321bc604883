"""Matrices of doubles in MATLAB 5 to 7 files, and nothing else of the format.

"MAT-File Format", The MathWorks, chapter 1. `scipy.io.loadmat` ends the process with a segmentation
fault at some damaged files, which a benchmark cannot catch, and it builds cells, structures and
objects that are not wanted here. Every length is checked before it is used.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_HEADER = 128
_TAG = 8
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single"}
_COMPLEX = 0x0800
_MOST_DIMENSIONS = 8


@dataclass(frozen=True)
class Variable:
    """One variable of a file.

    Attributes:
        name: Its name.
        kind: Its class, such as ``double`` or ``complex double``.
        shape: Its dimensions.
        real: Type and bytes of its real part; empty unless it is a real double.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    real: tuple[str, bytes]

    def matrix(self) -> npt.NDArray[np.float64]:
        """Return the numbers, which MATLAB keeps column by column.

        Raises:
            ValueError: If it is no real double, or the numbers do not fill the shape.
        """
        stored, content = self.real
        if self.kind != "double" or len(content) % np.dtype(stored).itemsize:
            raise ValueError(f"{self.kind} of {len(content)} bytes is no matrix of doubles")
        values = np.frombuffer(content, stored)
        if values.size != math.prod(self.shape):
            raise ValueError(f"{values.size} numbers for the shape {list(self.shape)}")
        return values.reshape(self.shape, order="F").astype(np.float64)


def variables(content: bytes, largest: int) -> Iterator[Variable]:
    """Read the variables of a file.

    Args:
        content: The file.
        largest: Most bytes that a compressed variable may have when it is unpacked.

    Yields:
        One variable after the other.

    Raises:
        ValueError: If the file is not of this format, or damaged.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER])
    if order is None or content[124:126] not in (b"\x00\x01", b"\x01\x00"):
        raise ValueError("no MATLAB 5 to 7 header")
    position = _HEADER
    while position < len(content):
        kind, body, position = _element(content, position, order)
        if kind == _COMPRESSED:
            kind, body, _ = _element(_unpacked(body, largest), 0, order)
        if kind != _MATRIX:
            raise ValueError(f"element of type {kind} where a variable was expected")
        yield _variable(body, order)


def _variable(body: bytes, order: str) -> Variable:
    _, flags, position = _element(body, 0, order)
    if len(flags) != _TAG:
        raise ValueError("array flags are not 8 bytes")
    (flag,) = struct.unpack(f"{order}I", flags[:4])
    kind = _CLASSES.get(flag & 0xFF, f"class {flag & 0xFF}")
    _, sizes, position = _element(body, position, order)
    if not sizes or len(sizes) % 4 or len(sizes) > 4 * _MOST_DIMENSIONS:
        raise ValueError(f"dimensions of {len(sizes)} bytes")
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    _, name, position = _element(body, position, order)
    real = ("", b"")
    if kind == "double":
        if flag & _COMPLEX:
            kind = "complex double"
        else:
            stored, numbers, _ = _element(body, position, order)
            if stored not in _NUMBERS:
                raise ValueError(f"numbers of type {stored}")
            real = (order + _NUMBERS[stored], numbers)
    return Variable(name.decode("ascii", "replace"), kind, shape, real)


def _element(content: bytes, position: int, order: str) -> tuple[int, bytes, int]:
    """Type, bytes and end of the element at a position; up to 4 bytes fit into the tag itself."""
    if position + _TAG > len(content):
        raise ValueError(f"cut short at byte {len(content)}")
    kind, size = struct.unpack_from(f"{order}II", content, position)
    start = position + _TAG
    end = start + size
    if kind >> 16:
        kind, size, start = kind & 0xFFFF, kind >> 16, position + 4
        if size > 4:  # noqa: PLR2004 - what is left of a tag
            raise ValueError(f"small element of {size} bytes at byte {position}")
        end = position + _TAG
    if start + size > len(content):
        raise ValueError(f"cut short: {size} bytes at byte {position} of {len(content)}")
    if kind not in (_MATRIX, _COMPRESSED):
        end = -(-end // _TAG) * _TAG
    return kind, content[start : start + size], end


def _unpacked(body: bytes, largest: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(body, largest)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not unpacker.eof:
        raise ValueError(f"compressed data is cut short or unpacks to more than {largest} bytes")
    return content
