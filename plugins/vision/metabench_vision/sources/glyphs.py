"""``glyphs``: printed characters, rendered from the fonts that matplotlib ships.

The source is generated. It is a test bed that works anywhere offline in a second or two, and stands
in for no data set of handwriting: its examples of a class are few type faces under small random
distortions, so scores on it say little about Omniglot.

A class is one character. It is kept if at least `MIN_FACES` of the faces map it to a glyph of their
own, and if its shape differs from that of every class before it: characters that look alike (Latin
A, Greek Alpha, Cyrillic A; s and S, once the size is normalised) are one class, in the first of
their scripts. Scripts are disjoint between the splits.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageFilter, ImageFont, features

from metabench.tasks.data import ClassPool, TaskData
from metabench.tasks.files import SourceContext

SCRIPTS = {
    "train": ("LATIN",),
    "val": ("CYRILLIC",),
    "test": ("GREEK", "ARMENIAN", "GEORGIAN"),
}
FACES = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
)
REFERENCE_FACES = ("DejaVuSans", "DejaVuSerif")
MIN_FACES = 8
MAX_SIMILARITY = 0.93
"""Cosine of two shapes in a reference face above which they are the same class."""
PER_CLASS = 20
SIZE = 20

FONT_SIZE = 80
CANVAS = 2 * SIZE  # distorted at twice the size, then averaged down
BODY = 28  # longest side of an undistorted glyph on the canvas
LETTERS = ("Lu", "Ll", "Lo")


@dataclass
class Face:
    """One font file.

    Attributes:
        name: Its file name without ending.
        font: The scalable font.
        characters: The code points that it has a glyph for (never ``.notdef``).
        cache: Rendered glyphs.
    """

    name: str
    font: ImageFont.FreeTypeFont
    characters: frozenset[int]
    cache: dict[str, Image.Image | None] = field(default_factory=dict)

    @classmethod
    def load(cls, name: str) -> Face:
        """Open a face of the installed matplotlib."""
        path = str(Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf")
        mapped = FT2Font(path).get_charmap()
        font = ImageFont.truetype(path, FONT_SIZE, layout_engine=ImageFont.Layout.BASIC)
        return cls(name, font, frozenset(code for code, glyph in mapped.items() if glyph))

    def glyph(self, character: str) -> Image.Image | None:
        """Render a character, cropped to its ink and scaled to `BODY`; ``None`` if it is blank."""
        if character not in self.cache:
            self.cache[character] = self._render(character)
        return self.cache[character]

    def _render(self, character: str) -> Image.Image | None:
        mask = self.font.getmask(character)
        if 0 in mask.size:
            return None
        image = Image.frombytes("L", mask.size, bytes(mask))
        ink = image.getbbox()
        if ink is None:
            return None
        image = image.crop(ink)
        scale = BODY / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        return image.resize(size, Image.Resampling.HAMMING)


def glyphs(context: SourceContext) -> TaskData:
    """Render every class.

    Args:
        context: Unused; nothing is read but matplotlib's own fonts.

    Returns:
        ``pixels`` ``[20 * classes, 1, 20, 20]`` with ink = 255; groups are faces.
    """
    del context
    faces = [Face.load(name) for name in FACES]
    chosen = select(faces)
    pixels = np.empty((PER_CLASS * sum(map(len, chosen.values())), 1, SIZE, SIZE), np.uint8)
    groups = np.empty(len(pixels), np.int64)
    splits = {}
    row = 0
    for split, characters in chosen.items():
        members = []
        for character in characters:
            members.append(np.arange(row, row + PER_CLASS, dtype=np.int64))
            for face, image in examples(faces, character):
                pixels[row, 0] = image
                groups[row] = face
                row += 1
        splits[split] = ClassPool(tuple(map(class_name, characters)), tuple(members))
    freetype = features.version("freetype2")
    note = f"fonts of matplotlib {mpl.__version__}, rendered by FreeType {freetype}"
    inputs = {"pixels": torch.from_numpy(pixels)}
    return TaskData("image", inputs, splits, groups=groups, notes=(note,))


def class_name(character: str) -> str:
    """``U+03A9 greek capital letter omega``."""
    return f"U+{ord(character):04X} {unicodedata.name(character).lower()}"


def script(character: str) -> str:
    """First word of the character's Unicode name, which is its script."""
    return unicodedata.name(character, "?").split()[0]


def select(faces: list[Face]) -> dict[str, list[str]]:
    """Choose the classes of each split.

    Letters with a decomposition (accents, ligatures, styled copies) are left out, then every
    letter that is too like an earlier one. Earlier means: in the order of `SCRIPTS`, then of the
    code point.

    Args:
        faces: The opened faces.

    Returns:
        Characters by split.
    """
    counts: dict[int, int] = {}
    for face in faces:
        for code in face.characters:
            counts[code] = counts.get(code, 0) + 1
    common = [chr(code) for code in sorted(counts) if counts[code] >= MIN_FACES]
    letters = [
        c for c in common if unicodedata.category(c) in LETTERS and not unicodedata.decomposition(c)
    ]
    order = [s for scripts in SCRIPTS.values() for s in scripts]
    candidates = sorted(
        (c for c in letters if script(c) in order), key=lambda c: (order.index(script(c)), c)
    )
    candidates = [c for c in candidates if all(f.glyph(c) for f in faces if ord(c) in f.characters)]
    kept = _distinct(faces, candidates)
    return {split: [c for c in kept if script(c) in scripts] for split, scripts in SCRIPTS.items()}


def _distinct(faces: list[Face], candidates: list[str]) -> list[str]:
    references = [face for face in faces if face.name in REFERENCE_FACES]
    present = [c for c in candidates if all(ord(c) in face.characters for face in references)]
    similar = np.full((len(present), len(present)), -1.0, np.float32)
    for face in references:
        shapes = np.stack([_shape(face, c) for c in present])
        similar = np.maximum(similar, shapes @ shapes.T)
    kept: list[int] = []
    seen: set[bytes] = set()
    for position, character in enumerate(present):
        if kept and similar[position, kept].max() > MAX_SIMILARITY:
            continue
        prints = set(_prints(faces, character))
        if seen & prints:  # the same bitmap in a face that is no reference
            continue
        seen |= prints
        kept.append(position)
    return [present[position] for position in kept]


def _shape(face: Face, character: str) -> npt.NDArray[np.float32]:
    canvas = Image.new("L", (BODY, BODY))
    glyph = face.glyph(character)
    assert glyph is not None
    canvas.paste(glyph, ((BODY - glyph.width) // 2, (BODY - glyph.height) // 2))
    flat = np.asarray(canvas.reduce(2), np.float32).ravel()
    return flat / np.linalg.norm(flat)


def _prints(faces: list[Face], character: str) -> Iterator[bytes]:
    for face in faces:
        if ord(character) in face.characters and (glyph := face.glyph(character)):
            yield f"{face.name} {glyph.size} ".encode() + glyph.tobytes()


def examples(faces: list[Face], character: str) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Draw the examples of one class.

    The faces take turns; every example has its own distortion, which depends on nothing but the
    character and the example's number.

    Args:
        faces: The opened faces.
        character: The class.

    Yields:
        Index of the face, and ``[20, 20]`` pixels.
    """
    able = [i for i, face in enumerate(faces) if ord(character) in face.characters]
    # Raw Philox output is the same in every numpy version; Generator's methods need not be.
    raw = np.random.Philox(key=[ord(character), 28]).random_raw(PER_CLASS * 7)
    draws = ((raw >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(PER_CLASS, 7)
    for number, draw in enumerate(draws):
        face = able[number % len(able)]
        glyph = faces[face].glyph(character)
        assert glyph is not None
        thicken = draw[6] < 1 / 3 and "Bol" not in faces[face].name  # bold would clog
        yield face, np.asarray(_distort(glyph, draw, thicken=thicken))


def _distort(glyph: Image.Image, draw: npt.NDArray[np.float64], *, thicken: bool) -> Image.Image:
    turn, shear, wide, high, right, down = (float(value) for value in draw[:6])
    angle = math.radians(24 * turn - 12)
    slant = 0.4 * shear - 0.2
    across, along = 1 / (0.75 + 0.3 * wide), 1 / (0.75 + 0.3 * high)
    cos, sin = math.cos(angle), math.sin(angle)
    # Output to input, as Pillow wants it: undo the shift, the turn, the slant and the scale.
    a, b = across * (cos - slant * sin), across * (sin + slant * cos)
    d, e = -along * sin, along * cos
    x, y = CANVAS / 2 + 4 * right - 2, CANVAS / 2 + 4 * down - 2
    c = glyph.width / 2 - a * x - b * y
    f = glyph.height / 2 - d * x - e * y
    image = glyph.transform(
        (CANVAS, CANVAS), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
    )
    if thicken:
        image = image.filter(ImageFilter.MaxFilter(3))
    return image.reduce(2)
