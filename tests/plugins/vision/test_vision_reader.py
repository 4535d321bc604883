"""Users' own images: formats, modes, orientation, shapes, damage and bombs."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from metabench.errors import UsageError
from metabench.tasks.reading import BadItemError
from metabench_vision.reader import ImageReader, to_pixels


def encoded(image, kind, **options):
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def plain(colour=(200, 40, 90), size=(40, 30)):
    return Image.new("RGB", size, colour)


def read_one(item, like=None):
    read = ImageReader().read([item], like)
    assert read.faults == ()
    return read.inputs["pixels"][0].numpy()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF"])
def test_every_format_and_every_kind_of_item(kind, tmp_path):
    content = encoded(plain(), kind)
    path = tmp_path / "image.any"
    path.write_bytes(content)
    for item in (content, path, str(path)):
        pixels = read_one(item)
        assert pixels.shape == (3, 84, 84)
        np.testing.assert_allclose(pixels.mean((1, 2)), (200, 40, 90), atol=4)


def test_pixels_of_the_right_size_pass_bit_for_bit():
    pixels = np.random.default_rng(0).integers(0, 256, (84, 84, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read_one(pixels), pixels.transpose(2, 0, 1))
    image = Image.fromarray(pixels)
    np.testing.assert_array_equal(read_one(encoded(image, "PNG")), pixels.transpose(2, 0, 1))


def test_the_orientation_that_a_camera_notes():
    image = plain((255, 255, 255), (40, 20))
    image.paste((0, 0, 0), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees: the left becomes the top
    pixels = read_one(encoded(image, "JPEG", exif=exif, quality=95))
    assert pixels[:, :30].mean() < 10
    assert pixels[:, -30:].mean() > 245


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (9, 9), 77), (77, 77, 77)),
        (Image.new("1", (9, 9), 1), (255, 255, 255)),
        (Image.new("LA", (9, 9), (10, 255)), (10, 10, 10)),
        (Image.new("RGBA", (9, 9), (10, 20, 30, 0)), (255, 255, 255)),
        (plain().convert("P", palette=Image.Palette.ADAPTIVE), (200, 40, 90)),
        (Image.fromarray(np.full((9, 9), 257 * 100, np.uint16)), (100, 100, 100)),
    ],
)
def test_modes(image, expected):
    np.testing.assert_allclose(read_one(encoded(image, "PNG")).mean((1, 2)), expected, atol=1)


def test_a_palette_with_a_transparent_colour_becomes_white():
    image = Image.new("P", (9, 9), 1)
    image.putpalette([0, 0, 0, 250, 0, 0])
    content = encoded(image, "PNG", transparency=1)
    assert read_one(content).min() == 255


def test_floating_point_and_cmyk():
    grey = Image.fromarray(np.full((9, 9), 0.5, np.float32))
    np.testing.assert_allclose(read_one(encoded(grey, "TIFF")), 128, atol=1)
    colour = plain().convert("CMYK")
    np.testing.assert_allclose(
        read_one(encoded(colour, "TIFF")).mean((1, 2)), (200, 40, 90), atol=3
    )
    broken = Image.fromarray(np.full((9, 9), np.nan, np.float32))
    with pytest.raises(BadItemError, match="no numbers"):
        to_pixels(encoded(broken, "TIFF"), (8, 8), colour=True)


def test_the_first_frame_of_a_gif():
    frames = [plain((255, 0, 0)), plain((0, 0, 255))]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert read_one(content)[0].mean() > 250


def test_the_shapes_of_a_saved_model():
    assert read_one(encoded(plain(), "PNG"), {"pixels": (3, 28, 30)}).shape == (3, 28, 30)
    grey = read_one(encoded(plain((255, 255, 255)), "PNG"), {"pixels": (1, 28, 28)})
    assert grey.shape == (1, 28, 28)
    assert grey.min() == 255
    with pytest.raises(UsageError, match="one channel or three, not 2"):
        ImageReader().read([], {"pixels": (2, 8, 8)})


def bomb(width, height):
    """A PNG whose header claims more than there is."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("item", "match"),
    [
        (bomb(12_000, 12_000), "claims to be 12000x12000"),
        (bomb(60_000, 60_000), "does not decode as an image"),
        (b"GIF89a", "does not decode"),
        (b"", "0 bytes"),
        (b"<svg/>", "does not decode as an image .cannot identify image file.$"),
        (encoded(plain(size=(300, 300)), "JPEG")[:700], "truncated"),
        (encoded(Image.effect_noise((90, 90), 99), "PNG")[:-900], "does not decode"),
        (np.zeros((3, 9, 9), np.uint8), r"an array \(3, 9, 9\) of uint8; images are \[H, W\]"),
        (np.zeros((9, 9)), "float64"),
    ],
)
def test_what_cannot_be_used_is_a_fault_and_the_others_stay(item, match):
    good = encoded(plain(), "PNG")
    read = ImageReader().read([good, item, good])
    assert read.kept.tolist() == [0, 2]
    assert len(read.inputs["pixels"]) == 2
    ((position, what),) = read.faults
    assert position == 1
    with pytest.raises(AssertionError, match=match):
        raise AssertionError(what)


def test_a_large_photograph_is_read_like_its_reduction():
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    large = small.resize((2000, 1500), Image.Resampling.BICUBIC)
    direct = np.asarray(large.resize((84, 84), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
    found = read_one(encoded(large, "JPEG", quality=95))
    assert np.abs(found.astype(int) - direct).mean() < 2
