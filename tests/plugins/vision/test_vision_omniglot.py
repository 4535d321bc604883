"""Omniglot on a small archive in the upstream layout, and on the real one."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from metabench.errors import UnavailableError
from metabench.tasks.files import SourceContext
from metabench_vision.sources.omniglot import ROOT, omniglot, rotate, shrink

ALPHABETS = {"images_background": ("Greek", "Latin"), "images_evaluation": ("Gurmukhi",)}
SPLIT = {"train": "Greek", "val": "Latin", "test": "Gurmukhi"}


def drawing(seed):
    bits = np.random.default_rng(seed).random((105, 105)) > 0.2  # white paper, black ink
    return Image.fromarray((bits * 255).astype(np.uint8)).convert("1")


def png(image):
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def members():
    seed = 0
    for part, alphabets in ALPHABETS.items():
        for alphabet in alphabets:
            for character in (1, 2):
                for drawer in range(1, 21):
                    seed += 1
                    name = f"{part}/{alphabet}/character{character:02d}/{seed:04d}_{drawer:02d}.png"
                    yield part, name, png(drawing(seed))


@pytest.fixture
def upstream(tmp_path):
    folder = tmp_path / ROOT
    (folder / "splits/vinyals").mkdir(parents=True)
    for split, alphabet in SPLIT.items():
        lines = [f"{alphabet}/character0{c}/rot{r:03d}" for c in (1, 2) for r in (0, 90, 180, 270)]
        (folder / f"splits/vinyals/{split}.txt").write_text("\n".join(lines) + "\n")
    for part, name, data in members():
        with zipfile.ZipFile(folder / f"{part}.zip", "a") as archive:
            archive.writestr(name, data)
    return folder


def load(tmp_path, **options):
    return omniglot(SourceContext("omniglot", tmp_path), **options)


def test_layout_classes_and_groups(tmp_path, upstream):
    data = load(tmp_path)
    assert data.inputs["pixels"].shape == (3 * 8 * 20, 1, 28, 28)
    assert {s: len(p.names) for s, p in data.splits.items()} == {"train": 8, "val": 8, "test": 8}
    assert data.splits["test"].names[1] == "Gurmukhi/character01/rot090"
    for pool in data.splits.values():
        for rows in pool.members:
            assert sorted(data.groups[rows]) == list(range(20))


def test_without_rotations(tmp_path, upstream):
    data = load(tmp_path, rotations=False)
    assert {s: len(p.names) for s, p in data.splits.items()} == {"train": 2, "val": 2, "test": 2}


def test_folders_instead_of_zips_give_the_same(tmp_path, upstream):
    zipped = load(tmp_path).digest
    for part in ALPHABETS:
        path = upstream / f"{part}.zip"
        with zipfile.ZipFile(path) as archive:
            archive.extractall(upstream)
        path.unlink()
    assert load(tmp_path).digest == zipped


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_that_of_snell_et_al(degrees):
    image = drawing(7)
    theirs = np.asarray(image.rotate(float(degrees)).resize((28, 28)), np.float32)
    ours = rotate(shrink(image)[np.newaxis], degrees)[0]
    assert np.array_equal(1 - theirs, ours / 255)


def test_ink_is_high():
    paper = Image.new("1", (105, 105), 1)
    assert shrink(paper).max() == 0
    paper.paste(0, (0, 0, 105, 105))
    assert shrink(paper).min() == 255


def test_truncated_zip(tmp_path, upstream):
    path = upstream / "images_background.zip"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnavailableError, match=r"images_background\.zip is not a complete zip"):
        load(tmp_path)


def replace(path, index, change):
    with zipfile.ZipFile(path) as archive:
        held = [(info.filename, archive.read(info)) for info in archive.infolist()]
    name, data = held[index]
    held[index] = (name, change(data))
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in held:
            archive.writestr(member, content)
    return name


@pytest.mark.parametrize(
    "change",
    [lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"GIF89a and no more"],
    ids=["truncated", "empty", "another format"],
)
def test_image_that_does_not_decode(tmp_path, upstream, change):
    name = replace(upstream / "images_evaluation.zip", 3, change)
    with pytest.raises(UnavailableError, match=rf"images_evaluation\.zip: {name} does not decode"):
        load(tmp_path)


def test_image_of_another_size(tmp_path, upstream):
    replace(upstream / "images_evaluation.zip", 0, lambda _: png(Image.new("1", (28, 28))))
    with pytest.raises(UnavailableError, match=r"28x28.*105x105"):
        load(tmp_path)


def test_missing_drawing_and_missing_character(tmp_path, upstream):
    path = upstream / "images_evaluation.zip"
    with zipfile.ZipFile(path) as archive:
        held = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in list(held.items())[:-1]:
            archive.writestr(name, data)
    with pytest.raises(UnavailableError, match="Gurmukhi/character02 has 19 drawings"):
        load(tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in list(held.items())[:20]:
            archive.writestr(name, data)
    with pytest.raises(UnavailableError, match="no images of Gurmukhi/character02"):
        load(tmp_path)


def test_bad_line_in_the_split(tmp_path, upstream):
    path = upstream / "splits/vinyals/val.txt"
    path.write_text("Latin/character01/rot000\nLatin/../character02/rot045\n")
    with pytest.raises(UnavailableError, match=r"val\.txt line 2: "):
        load(tmp_path)


def test_no_data(tmp_path):
    with pytest.raises(UnavailableError, match=r"train\.txt does not exist"):
        load(tmp_path)
    with pytest.raises(UnavailableError, match="METABENCH_DATA"):
        omniglot(SourceContext("omniglot", None))


@pytest.fixture(scope="module")
def real(vision_data):
    return omniglot(SourceContext("omniglot", vision_data))


@pytest.mark.real_data
@pytest.mark.slow
def test_real_omniglot_has_the_published_classes(real):
    sizes = {split: len(pool.names) for split, pool in real.splits.items()}
    assert sizes == {"train": 4112, "val": 688, "test": 1692}
    assert real.inputs["pixels"].shape == (129_840, 1, 28, 28)
    for pool in real.splits.values():
        assert (pool.sizes == 20).all()
        assert (real.groups[np.stack(pool.members)] == np.arange(20)).all()


@pytest.mark.real_data
@pytest.mark.slow
def test_real_rotations_rotate(real):
    pixels = real.inputs["pixels"].numpy()[:, 0]
    for pool in real.splits.values():
        by_name = dict(zip(pool.names, pool.members, strict=True))
        names = sorted({name.rsplit("/", 1)[0] for name in pool.names})
        assert len(names) * 4 == len(pool.names)
        same = 0
        for name in names:
            turned = [pixels[by_name[f"{name}/rot{r:03d}"]] for r in (0, 90, 180, 270)]
            for quarter, images in enumerate(turned):
                assert np.array_equal(images, np.rot90(turned[0], quarter, (1, 2)))
            same += len({images.tobytes() for images in turned}) < 4
        assert same == 0  # no character is the same in all twenty drawings when it is turned


@pytest.mark.real_data
@pytest.mark.slow
def test_real_splits_share_no_character_and_no_image(real):
    characters = {
        split: {name.rsplit("/", 1)[0] for name in pool.names}
        for split, pool in real.splits.items()
    }
    assert not characters["train"] & characters["test"]
    assert not characters["train"] & characters["val"]
    assert not characters["val"] & characters["test"]
    pixels = real.inputs["pixels"].numpy()
    seen = {pixels[item].tobytes() for item in real.splits["train"].items}
    test = [pixels[item].tobytes() for item in real.splits["test"].items]
    # Straight strokes of 28 x 28 do coincide; whole classes do not.
    assert sum(image in seen for image in test) < len(test) * 0.01
