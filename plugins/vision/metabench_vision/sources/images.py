"""Reading images and the text files that list them, with errors that name file and place."""

from __future__ import annotations

import csv
import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from metabench.errors import UnavailableError
from metabench.tasks.files import SourceContext

AGAIN = "get the upstream file again"
MAX_PIXELS = 64_000_000
"""Larger than any photograph of these data sets; a header that claims more is not believed."""

Pixels = npt.NDArray[np.uint8]


def decode(data: bytes, place: str) -> Image.Image:
    """Decode one PNG or JPEG completely.

    Args:
        data: The file's bytes.
        place: The file, and the member if it is an archive, for the error.

    Returns:
        The decoded image in its own mode.

    Raises:
        UnavailableError: If it does not decode.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        if image.width * image.height > MAX_PIXELS:
            raise UnavailableError(f"{place} claims to be {image.width}x{image.height}", AGAIN)
        image.load()
    except (
        OSError,  # includes PIL.UnidentifiedImageError
        EOFError,
        SyntaxError,
        ValueError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ) as error:
        # The repr of an unidentified image holds an address, which would differ from run to run.
        reason = str(error).split(" <", 1)[0]
        raise UnavailableError(
            f"{place} does not decode as PNG or JPEG ({reason})", AGAIN
        ) from error
    return image


def colour(data: bytes, place: str, size: int) -> Pixels:
    """Decode an image as ``[3, size, size]``; another size is resized (Lanczos)."""
    image = decode(data, place).convert("RGB")
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(image).transpose(2, 0, 1)


def archive_or_folder(
    context: SourceContext, archive: str, suffix: str
) -> Iterator[tuple[str, bytes, str]]:
    """Read the members of ``archive``, or of the folder that it was unzipped to.

    Args:
        context: Where files are found.
        archive: A ``.zip`` below the data directory. The folder has its name without ``.zip``, and
            lies beside it.
        suffix: Only members whose names end so.

    Yields:
        Name (as in the archive), bytes, and the place for an error.

    Raises:
        UnavailableError: If there is neither, or the archive is damaged.
    """
    folder = archive.removesuffix(".zip")
    root = context.data_dir
    if root is not None and not (root / archive).exists() and (root / folder).is_dir():
        yield from _folder(context.file(folder), suffix)
        return
    try:
        for name, data in context.zip_members(archive, suffix):
            yield name, data, f"{archive}: {name}"
    except zlib.error as error:
        raise UnavailableError(f"{archive} holds damaged data ({error})", AGAIN) from error


def _folder(folder: Path, suffix: str) -> Iterator[tuple[str, bytes, str]]:
    for path in sorted(folder.rglob(f"*{suffix}")):
        if path.is_file():
            yield path.relative_to(folder.parent).as_posix(), read_bytes(path), str(path)


def read_bytes(path: Path) -> bytes:
    """Read a file; a failure says which."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read ({error.strerror})", AGAIN) from error


def read_text(path: Path) -> str:
    """Read a UTF-8 file; a failure says which."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnavailableError(f"{path} is not UTF-8 at byte {error.start}", AGAIN) from error


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line that is not blank."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Read columns of a CSV by name.

    Args:
        path: The file, with a header line.
        columns: The columns wanted.

    Yields:
        Line number, and the values in the order of ``columns``.

    Raises:
        UnavailableError: If a column is missing from the header, or a value from a line.
    """
    rows = csv.reader(io.StringIO(read_text(path), newline=""))
    try:
        header = [name.strip() for name in next(rows, [])]
        for column in columns:
            if column not in header:
                found = ", ".join(header) or "nothing"
                raise UnavailableError(
                    f"{path} line 1: column {column!r} is missing (found: {found})", AGAIN
                )
        wanted = [header.index(column) for column in columns]
        for row in rows:
            if not row:
                continue
            if len(row) <= max(wanted):
                raise UnavailableError(
                    f"{path} line {rows.line_num}: {len(row)} values for {len(header)} columns",
                    AGAIN,
                )
            yield rows.line_num, tuple(row[position].strip() for position in wanted)
    except csv.Error as error:
        raise UnavailableError(f"{path} line {rows.line_num}: {error}", AGAIN) from error
