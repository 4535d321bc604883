"""``omniglot``: handwritten characters under the split of Vinyals et al. (2016)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from metabench.errors import UnavailableError
from metabench.tasks.data import SPLITS, ClassPool, TaskData
from metabench.tasks.files import SourceContext
from metabench_vision.sources.images import (
    AGAIN,
    Pixels,
    archive_or_folder,
    decode,
    read_lines,
)

ROOT = "vision/omniglot"
PARTS = ("images_background", "images_evaluation")
DRAWERS = 20
SIDE = 105
SIZE = 28

MEMBER = re.compile(r"images_\w+/([^/]+/character\d\d)/\d{4}_(\d\d)\.png")
LINE = re.compile(r"([^/]+/character\d\d)/rot(000|090|180|270)")

Characters = dict[str, Pixels]
"""``[20, 28, 28]`` images of each character, by drawer, under ``Alphabet/characterNN``."""


@dataclass(frozen=True)
class _Class:
    character: str
    rotation: int

    @property
    def name(self) -> str:
        return f"{self.character}/rot{self.rotation:03d}"


def omniglot(context: SourceContext, *, rotations: bool = True) -> TaskData:
    """Load Omniglot (Lake, Salakhutdinov & Tenenbaum, 2015) as Snell et al. (2017) do.

    Images are rotated, resized from 105 x 105 to 28 x 28 and inverted. The split of characters is
    that of Vinyals et al. (2016), by way of the repository of Snell et al.: 1028 / 172 / 423
    characters, and with each of four rotations as a class of its own 4112 / 688 / 1692 classes of
    20 examples. All rotations of a character are in the same split.

    Args:
        context: Where ``vision/omniglot`` is found, with the zips or the folders unzipped of them.
        rotations: Whether the rotations by 90, 180 and 270 degrees are classes.

    Returns:
        ``pixels`` ``[20 * classes, 1, 28, 28]`` with ink = 255; groups are drawers, 0 to 19.

    Raises:
        UnavailableError: If a file is missing or damaged.
    """
    wanted = {split: list(_classes(context, split, rotations=rotations)) for split in SPLITS}
    characters: Characters = {}
    for part in PARTS:
        characters |= load_characters(context, part)
    every = [c for split in SPLITS for c in wanted[split]]
    missing = sorted({c.character for c in every} - set(characters))
    if missing:
        raise UnavailableError(
            f"{ROOT}: no images of {missing[0]} ({len(missing)} characters of the split are"
            " missing)",
            AGAIN,
        )
    pixels = np.empty((len(every) * DRAWERS, 1, SIZE, SIZE), np.uint8)
    for position, item in enumerate(every):
        rows = slice(position * DRAWERS, (position + 1) * DRAWERS)
        pixels[rows, 0] = rotate(characters[item.character], item.rotation)
    members = np.arange(len(pixels), dtype=np.int64).reshape(len(every), DRAWERS)
    splits = {}
    start = 0
    for split in SPLITS:
        stop = start + len(wanted[split])
        names = tuple(item.name for item in wanted[split])
        splits[split] = ClassPool(names, tuple(members[start:stop]))
        start = stop
    groups = np.tile(np.arange(DRAWERS, dtype=np.int64), len(every))
    return TaskData("image", {"pixels": torch.from_numpy(pixels)}, splits, groups=groups)


def rotate(images: Pixels, degrees: int) -> Pixels:
    """Rotate ``[n, 28, 28]`` images counter-clockwise by a multiple of 90 degrees."""
    return np.rot90(images, degrees // 90, axes=(1, 2))


def shrink(image: Image.Image) -> Pixels:
    """Bring one image to 28 x 28 with ink = 255, as Snell et al. (2017) do.

    Their ``Image.resize`` on mode ``1`` takes the nearest pixel, whatever filter is asked for.
    105 / 28 puts no sample on a pixel's edge, so that resizing and quarter turns commute.
    """
    small = image.convert("1").resize((SIZE, SIZE), Image.Resampling.NEAREST)
    return np.where(np.asarray(small), 0, 255).astype(np.uint8)


def load_characters(context: SourceContext, part: str) -> Characters:
    """Load every character of ``images_background`` or ``images_evaluation``.

    Args:
        context: Where the archive or the folder is found.
        part: Its name.

    Returns:
        The images by character, in the order of their drawers.

    Raises:
        UnavailableError: If an image is damaged, or a character has not one of each drawer.
    """
    characters: Characters = {}
    drawn: dict[str, set[int]] = {}
    for name, data, place in archive_or_folder(context, f"{ROOT}/{part}.zip", ".png"):
        match = MEMBER.fullmatch(name)
        if match is None:
            continue
        character, drawer = match[1], int(match[2]) - 1
        image = decode(data, place)
        if image.size != (SIDE, SIDE) or not 0 <= drawer < DRAWERS:
            raise UnavailableError(
                f"{place} is drawing {drawer + 1} of {image.width}x{image.height} pixels; Omniglot"
                f" has {DRAWERS} drawings of {SIDE}x{SIDE}",
                AGAIN,
            )
        if character not in characters:
            characters[character] = np.empty((DRAWERS, SIZE, SIZE), np.uint8)
        characters[character][drawer] = shrink(image)
        drawn.setdefault(character, set()).add(drawer)
    for character, drawers in drawn.items():
        if len(drawers) != DRAWERS:
            raise UnavailableError(
                f"{ROOT}/{part}: {character} has {len(drawers)} drawings instead of {DRAWERS}",
                AGAIN,
            )
    return characters


def _classes(context: SourceContext, split: str, *, rotations: bool) -> Iterator[_Class]:
    path: Path = context.file(f"{ROOT}/splits/vinyals/{split}.txt")
    for number, line in read_lines(path):
        match = LINE.fullmatch(line)
        if match is None:
            raise UnavailableError(
                f"{path} line {number}: {line!r} is not Alphabet/characterNN/rotRRR", AGAIN
            )
        if rotations or match[2] == "000":
            yield _Class(match[1], int(match[2]))
