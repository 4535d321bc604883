"""The ``.npz`` beside a record: arrays without pickle, read only as far as they are needed."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Collection, Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt

MAX_UNPACKED_BYTES = 2 * 1024**3
"""Largest content of a record's ``.npz``; a larger one was not written by metabench."""

_SUFFIX = ".npy"
_VERSION = (1, 0)
_PREFIX = 10
"""Bytes before the header: magic, version and the header's length."""


def pack(arrays: Mapping[str, npt.NDArray[np.generic]]) -> bytes:
    """Return arrays as a compressed archive; equal arrays give equal bytes.

    Whole numbers are kept in the smallest type that holds them all: labels compress to half.

    Args:
        arrays: What to keep, by name.
    """
    buffer = io.BytesIO()
    kept = {name: _narrowed(array) for name, array in arrays.items()}
    np.savez_compressed(buffer, allow_pickle=False, **kept)
    return buffer.getvalue()


def pack_plain(arrays: Mapping[str, npt.NDArray[np.generic]]) -> bytes:
    """Return arrays as an archive that is not compressed, every array as it is."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack(
    content: bytes, names: Collection[str] | None = None
) -> dict[str, npt.NDArray[np.generic]]:
    """Return the arrays of an archive.

    Args:
        content: What `pack`, or ``numpy.savez``, wrote.
        names: Which arrays; all by default.

    Raises:
        Exception: Whatever zipfile and numpy raise at a forged archive.
        ValueError: If it is larger than any record's.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        if size > MAX_UNPACKED_BYTES:
            raise ValueError(f"{size} bytes unpacked")
        wanted = [
            (name, member)
            for member in members
            if (name := member.filename.removesuffix(_SUFFIX)) != member.filename
            and (names is None or name in names)
        ]
        return {name: _array(archive.read(member)) for name, member in wanted}


def _array(content: bytes) -> npt.NDArray[np.generic]:
    length = int.from_bytes(content[_PREFIX - 2 : _PREFIX], "little")
    begin = _PREFIX + length
    shape, fortran, dtype = _header(content[:begin])
    if dtype.hasobject:
        raise ValueError("an array holds objects")
    count = math.prod(shape)
    if len(content) - begin != count * dtype.itemsize:
        raise ValueError("an array is shorter or longer than it says")
    array = np.frombuffer(content, dtype, count, begin)
    return array.reshape(shape, order="F" if fortran else "C")


@lru_cache(maxsize=4096)
def _header(content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Read a header; most records share theirs."""
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != _VERSION:
        raise ValueError("an array's header is of another version")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    return shape, fortran, dtype


def _narrowed(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Return whole numbers in the smallest signed type: differences must not wrap around."""
    if array.dtype.kind != "i" or not array.size:
        return array
    low, high = int(array.min()), int(array.max())
    fitting = (
        kind
        for kind in (np.int8, np.int16, np.int32)
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max
    )
    return array.astype(next(fitting, array.dtype), copy=False)
