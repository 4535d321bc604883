"""Users' own images to pixels of one size."""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps

from metabench.errors import UsageError
from metabench.tasks.reading import (
    BadItemError,
    Fault,
    Item,
    ItemReader,
    ReadItems,
    Shapes,
    in_order,
    item_bytes,
)

SIZE = 84
"""The size of mini-ImageNet (Vinyals et al., 2016), which many encoders are made for."""
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF")
MAX_PIXELS = 100_000_000
"""A header that claims more is taken for a bomb."""
MAX_SIDE = 1024
GAP = 3.0
"""An image is first reduced by whole numbers to three times its final size, then resampled."""
_DAMAGE = (
    OSError,  # includes PIL.UnidentifiedImageError
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,  # tags of a broken TIFF
    IndexError,
    KeyError,
    struct.error,
    zlib.error,
    OverflowError,
    MemoryError,
    Image.DecompressionBombError,
)

Pixels = npt.NDArray[np.uint8]


class ImageReader(ItemReader):
    """PNG, JPEG, BMP, WebP, TIFF and GIF files (their first frame) to RGB of one size.

    Turned as their EXIF orientation says; palettes, 16 bits, CMYK and greys become 8 bits of RGB;
    what is transparent becomes white. The whole image is resized (Lanczos) and nothing cut away, as
    with the built-in photographs, so its aspect is not kept.

    Args:
        size: Height and width, unless the shapes are given.
    """

    def __init__(self, size: int = SIZE) -> None:
        if not isinstance(size, int) or not 1 <= size <= MAX_SIDE:
            raise UsageError(f"images of size {size!r}: a whole number from 1 to {MAX_SIDE}")
        self._size = size

    def read(self, items: Sequence[Item], like: Shapes | None = None) -> ReadItems:
        """Read images.

        Args:
            items: Paths, bytes of files, arrays ``[H, W]`` or ``[H, W, 3 or 4]`` of uint8, or
                images of Pillow.
            like: ``pixels`` ``(C, H, W)`` with one channel or three.

        Returns:
            ``pixels``, uint8 ``[m, C, H, W]``.

        Raises:
            UsageError: If ``like`` asks for another number of channels.
        """
        channels, height, width = like["pixels"] if like else (3, self._size, self._size)
        if channels not in (1, 3):
            raise UsageError(f"images have one channel or three, not {channels}")
        pixels = torch.empty(len(items), channels, height, width, dtype=torch.uint8)
        rows = pixels.numpy()
        kept: list[int] = []
        faults: list[Fault] = []

        def decode(item: Item) -> Pixels:
            return to_pixels(item, (height, width), colour=channels == 3)  # noqa: PLR2004 - RGB

        for position, image in in_order(items, decode, faults):
            rows[len(kept)] = image
            kept.append(position)
        return ReadItems({"pixels": pixels[: len(kept)]}, np.array(kept, np.int64), tuple(faults))


def to_pixels(item: Item | Image.Image, size: tuple[int, int], *, colour: bool) -> Pixels:
    """Decode one image.

    Args:
        item: A path, the bytes of a file, an array, or an image of Pillow.
        size: Height and width.
        colour: Whether RGB or grey is wanted.

    Returns:
        ``[3, H, W]`` or ``[1, H, W]``.

    Raises:
        BadItemError: If it is no image, is damaged or too large.
    """
    if isinstance(item, np.ndarray):
        image = _from_array(item)
    elif not isinstance(item, Image.Image):
        image = _opened(item, size)
    try:
        if isinstance(item, Image.Image):  # it may read its file only now
            image = ImageOps.exif_transpose(item)
        flat = _flat(image, "RGB" if colour else "L")
        if flat.size != size[::-1]:
            flat = flat.resize(size[::-1], Image.Resampling.LANCZOS, reducing_gap=GAP)
    except _DAMAGE as error:
        raise _damaged(error) from error
    pixels = np.asarray(flat)
    return pixels.transpose(2, 0, 1) if colour else pixels[None]


def _opened(item: Path | str | bytes, size: tuple[int, int]) -> Image.Image:
    content = item_bytes(item)
    try:
        with _QuietBombs():
            image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise BadItemError(f"claims to be {image.width}x{image.height}")
        if image.format in {"JPEG", "MPO"}:  # decodes at a fraction of its size; MPO is by phones
            image.draft(None, (round(size[1] * GAP), round(size[0] * GAP)))
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
    except _DAMAGE as error:
        raise _damaged(error) from error
    return image


class _QuietBombs:
    """Opens without Pillow's warning of large images, whose limit lies below ours."""

    _lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._caught = warnings.catch_warnings()
        self._caught.__enter__()
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)

    def __exit__(self, *_: object) -> None:
        self._caught.__exit__(None, None, None)
        self._lock.release()


def _damaged(error: BaseException) -> BadItemError:
    # The repr of an unidentified image holds an address, which would differ from run to run.
    reason = str(error).split(" <", 1)[0].strip() or type(error).__name__
    return BadItemError(f"does not decode as an image ({reason})")


def _from_array(array: npt.NDArray[np.generic]) -> Image.Image:
    plain = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))  # noqa: PLR2004
    if array.dtype != np.uint8 or not plain or not array.size:
        raise BadItemError(
            f"is an array {array.shape} of {array.dtype}; images are [H, W], [H, W, 3] or "
            "[H, W, 4] of uint8"
        )
    return Image.fromarray(np.ascontiguousarray(array))


def _flat(image: Image.Image, mode: str) -> Image.Image:
    """Bring any mode to 8 bits without transparency."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bits(image)
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        own = image.convert("RGBA")
        white = Image.new("RGBA", own.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, own).convert("RGB")
    return image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale greys of 16 bits, or of floating point from 0 to 1 or 255; Pillow would clip them."""
    values = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all():
        raise BadItemError("has pixels that are no numbers")
    if image.mode == "F":
        values = values * (255 if values.max(initial=0) <= 1 else 1)
    elif image.mode.startswith("I;16") or values.max(initial=0) > 255:  # noqa: PLR2004
        values = values / 257
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
