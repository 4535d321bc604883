import unicodedata

import numpy as np
import pytest
import torch

from metabench_vision.sources import glyphs as module
from metabench_vision.sources.glyphs import FACES, MIN_FACES, PER_CLASS, SCRIPTS, Face


@pytest.fixture(scope="module")
def faces():
    return [Face.load(name) for name in FACES]


@pytest.fixture(scope="module")
def data():
    return module.glyphs(None)


def characters(pool):
    return [chr(int(name.split()[0].removeprefix("U+"), 16)) for name in pool.names]


def test_enough_classes_of_twenty(data):
    sizes = {split: len(pool.names) for split, pool in data.splits.items()}
    assert sizes["train"] >= 250
    assert sizes["val"] >= 40
    assert sizes["test"] >= 60
    for pool in data.splits.values():
        assert (pool.sizes == PER_CLASS).all()
        assert len(pool.items) == PER_CLASS * len(pool.names)
    assert data.inputs["pixels"].shape == (20 * sum(sizes.values()), 1, 20, 20)
    assert data.inputs["pixels"].dtype == torch.uint8


def test_scripts_are_disjoint(data):
    scripts = {
        split: {unicodedata.name(c).split()[0] for c in characters(pool)}
        for split, pool in data.splits.items()
    }
    assert scripts == {split: set(names) for split, names in SCRIPTS.items()}
    assert len(set.union(*scripts.values())) == sum(map(len, scripts.values()))


def test_every_class_has_its_own_glyph_in_enough_faces(data, faces):
    for pool in data.splits.values():
        for character in characters(pool):
            able = [face for face in faces if ord(character) in face.characters]
            assert len(able) >= MIN_FACES
            for face in able:
                missing = notdef(face)  # the box for what a face does not have; STIX leaves a blank
                assert missing is None or face.glyph(character).tobytes() != missing.tobytes()


def notdef(face):
    missing = "\U0010fffe"
    assert ord(missing) not in face.characters
    return face.glyph(missing)


def test_no_two_classes_have_the_same_bitmap_in_any_face(data, faces):
    every = [c for pool in data.splits.values() for c in characters(pool)]
    for face in faces:
        seen = {}
        for character in every:
            if ord(character) in face.characters:
                glyph = face.glyph(character)
                twin = seen.setdefault((glyph.size, glyph.tobytes()), character)
                assert twin == character, (face.name, twin, character)


def test_homoglyphs_are_one_class(data):
    every = [c for pool in data.splits.values() for c in characters(pool)]
    for alike in ("A\u0391\u0410", "o\u03bf\u043e\u0585", "H\u0397\u041d", "\u0393\u0413", "sS"):
        assert sum(c in alike for c in every) <= 1, alike


def test_no_image_is_blank_clipped_or_repeated_in_another_class(data):
    pixels = data.inputs["pixels"].numpy()[:, 0]
    assert (pixels.max((1, 2)) > 150).all()
    assert pixels[:, 0].max() < 255 or (pixels[:, 0].max(1) > 200).mean() < 0.02
    owner = {}
    for pool in data.splits.values():
        for name, members in zip(pool.names, pool.members, strict=True):
            for item in members:
                assert owner.setdefault(pixels[item].tobytes(), name) == name


def test_ink_is_high_and_groups_are_faces(data):
    pixels = data.inputs["pixels"]
    assert pixels.float().mean() < 100
    assert set(np.unique(data.groups)) <= set(range(len(FACES)))
    for pool in data.splits.values():
        for members in pool.members:
            assert len(set(data.groups[members])) >= MIN_FACES


def test_same_again(data):
    assert module.glyphs(None).digest == data.digest
