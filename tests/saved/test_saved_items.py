"""Items as users have them, through the readers of the installed plugins."""

import numpy as np
import pytest
import torch
from PIL import Image

from metabench.errors import MetabenchError
from metabench.learners.contracts import InputSpec
from metabench.registry.discovery import load_plugins
from metabench.saved.config import SavedReader
from metabench.saved.items import ItemInputs

IMAGE = InputSpec("image", {"pixels": (1, 20, 20)}, {"pixels": torch.uint8})
TEXT = InputSpec(
    "text", {"bytes": (30,), "length": ()}, {"bytes": torch.uint8, "length": torch.int32}
)
WAVE = InputSpec(
    "audio", {"waveform": (16000,), "length": ()},
    {"waveform": torch.int16, "length": torch.int32},
)  # fmt: skip
SMILES = InputSpec(
    "molecule", {"smiles": (20,), "length": ()}, {"smiles": torch.uint8, "length": torch.int32}
)


@pytest.fixture(scope="module")
def read():
    catalogue = load_plugins()
    return lambda spec, items, **own: ItemInputs(spec, catalogue, **own)(items, "query")


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 20), dtype=np.uint8)
    path = tmp_path / "one.png"
    Image.fromarray(pixels).save(path)
    return path


def test_a_picture_in_every_form(read, picture):
    image = Image.open(picture)
    tensor = torch.tensor(np.array(image))
    items = [picture, str(picture), picture.read_bytes(), image, np.asarray(image), tensor]
    pixels = read(IMAGE, items)["pixels"]
    assert pixels.shape == (6, 1, 20, 20)
    assert (pixels == tensor).all()
    assert read(IMAGE, iter([picture, picture]))["pixels"].shape == (2, 1, 20, 20)


def test_an_image_of_one_bit_and_one_of_a_palette(read, picture):
    grey = Image.open(picture)
    black = np.asarray(grey.point(lambda v: 255 * (v > 127)))
    pixels = read(IMAGE, [grey.point(lambda v: 255 * (v > 127)).convert("1")])["pixels"]
    np.testing.assert_array_equal(pixels[0, 0].numpy(), black)
    palette = grey.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    away = read(IMAGE, [palette])["pixels"][0, 0].numpy() - np.asarray(grey).astype(int)
    assert np.abs(away).max() < 8


def test_a_corrupt_file_is_named_with_its_place(read, picture, tmp_path):
    (tmp_path / "torn.png").write_bytes(picture.read_bytes()[:60])
    with pytest.raises(MetabenchError, match=r"query item 1 \('.*torn.png'\): does not decode"):
        read(IMAGE, [picture, tmp_path / "torn.png"])
    with pytest.raises(MetabenchError, match=r"item 0 .*lost.png.*; query item 2 .*; 2 more like"):
        read(IMAGE, ["lost.png", picture, b"", b"", b"", b""])


def test_texts_longer_than_any_that_was_trained_on_are_not_cut(read):
    found = read(TEXT, ["short", "a much longer text " * 9])
    assert found["length"].tolist() == [5, len("a much longer text " * 9) - 1]
    with pytest.raises(MetabenchError, match=r"query item 1 \('  '\): is blank"):
        read(TEXT, ["good", "  "])


def test_a_molecule_larger_than_any_that_was_trained_on(read):
    found = read(SMILES, ["CCO", "CC(=O)Oc1ccccc1C(=O)OCCCCCCCCCC"])
    assert found["smiles"].shape[1] > 20
    with pytest.raises(MetabenchError, match=r"query item 0 \('C1CC'\)"):
        read(SMILES, ["C1CC"])


def test_a_wave_is_cut_and_padded_to_what_was_trained_on(read):
    waves = [np.sin(np.arange(8000) / 5), np.zeros(20000, np.int16) + 7]
    found = read(WAVE, waves)
    assert found["waveform"].shape == (2, 16000)
    assert found["length"].tolist() == [8000, 16000]


def test_settings_of_the_source_reach_the_reader(read, tmp_path):
    path = tmp_path / "old.txt"
    path.write_bytes("Grüße".encode("latin-1"))
    reader = SavedReader(name="texts", options={"encoding": "latin-1"})
    assert read(TEXT, [path], own=reader)["length"].tolist() == [7]
    with pytest.raises(MetabenchError, match="is not utf-8"):
        read(TEXT, [path])


def test_the_example_for_the_note():
    catalogue = load_plugins()
    assert ItemInputs(TEXT, catalogue).example == '"{} text"'
    assert ItemInputs(IMAGE, catalogue).example == '"{}.png"'
    nobody = InputSpec("smell", {"x": (3,)}, {"x": torch.float32})
    assert ItemInputs(nobody, catalogue).example == "{}"
