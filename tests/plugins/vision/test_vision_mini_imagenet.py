"""miniImageNet on a generated fixture in the upstream layout; its images may not be passed on."""

import numpy as np
import pytest
import torch
from PIL import Image

from metabench.errors import UnavailableError
from metabench.tasks.files import SourceContext
from metabench_vision.sources import mini_imagenet as module
from metabench_vision.sources.mini_imagenet import ROOT, mini_imagenet

CLASSES = {"train": ("n03", "n01"), "val": ("n05",), "test": ("n02", "n04")}


@pytest.fixture
def upstream(tmp_path):
    folder = tmp_path / ROOT
    (folder / "images").mkdir(parents=True)
    for split, labels in CLASSES.items():
        lines = ["filename,label"]
        for label in labels:
            for number in range(3):
                name = f"{label}{number:08d}.jpg"
                shade = int(label[1:]) * 40 + number
                Image.new("RGB", (84, 84), (shade, 0, 255)).save(
                    folder / "images" / name, quality=95
                )
                lines.append(f"{name},{label}")
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return folder


def load(tmp_path):
    return mini_imagenet(SourceContext("mini-imagenet", tmp_path))


def test_upstream_layout(tmp_path, upstream, monkeypatch):
    data = load(tmp_path)
    assert data.inputs["pixels"].shape == (15, 3, 84, 84)
    assert data.inputs["pixels"].dtype == torch.uint8
    assert data.splits["train"].names == ("n01", "n03")
    for pool in data.splits.values():
        for name, members in zip(pool.names, pool.members, strict=True):
            red = data.inputs["pixels"][torch.from_numpy(members), 0].float().mean((1, 2))
            assert np.allclose(red, int(name[1:]) * 40 + np.arange(3), atol=4)
    monkeypatch.setattr(module, "CHUNK", 4)
    assert load(tmp_path).digest == data.digest


def test_other_sizes_and_grey_images(tmp_path, upstream):
    Image.new("L", (500, 375), 9).save(upstream / "images/n0100000000.jpg")
    assert load(tmp_path).inputs["pixels"].shape == (15, 3, 84, 84)


def change(path, old, new):
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("filename,label", "filename,class", r"val\.csv line 1: column 'label' is missing"),
        ("n0500000001.jpg,n05", "n0500000001.jpg", r"val\.csv line 3: 1 values for 2 columns"),
        ("n0500000001.jpg", "../../secret.jpg", r"val\.csv line 3: '\.\./\.\./secret\.jpg'"),
        ("n0500000001.jpg", "n0999.jpg", r"val\.csv line 3: .*n0999\.jpg does not exist"),
        (",n05", ",n01", r"class n01 is in train\.csv and in val\.csv"),
    ],
)
def test_bad_csv(tmp_path, upstream, old, new, message):
    change(upstream / "val.csv", old, new)
    with pytest.raises(UnavailableError, match=message):
        load(tmp_path)


def test_empty_csv(tmp_path, upstream):
    (upstream / "val.csv").write_text("")
    with pytest.raises(UnavailableError, match=r"val\.csv line 1: column 'filename' is missing"):
        load(tmp_path)
    (upstream / "val.csv").write_text("filename,label\n")
    with pytest.raises(UnavailableError, match=r"val\.csv lists no images"):
        load(tmp_path)


def test_damaged_image(tmp_path, upstream):
    path = upstream / "images/n0200000002.jpg"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UnavailableError, match=r"images/n0200000002\.jpg does not decode"):
        load(tmp_path)


def test_no_images(tmp_path, upstream):
    (upstream / "images").rename(upstream / "pictures")
    with pytest.raises(UnavailableError, match=r"mini_imagenet/images does not exist"):
        load(tmp_path)


@pytest.mark.real_data
def test_the_real_csvs_have_the_published_classes(vision_data, tmp_path):
    folder = tmp_path / ROOT
    folder.mkdir(parents=True)
    context = SourceContext("mini-imagenet", tmp_path)
    classes = {}
    for split, expected in (("train", 64), ("val", 16), ("test", 20)):
        upstream = vision_data / f"vision/splits_only/miniImagenet_ravi/{split}.csv"
        if not upstream.exists():
            pytest.skip(f"{upstream} does not exist")
        (folder / f"{split}.csv").write_bytes(upstream.read_bytes())
        rows = list(module._rows(context, split))
        classes[split] = {label for _, _, label in rows}
        assert (len(rows), len(classes[split])) == (600 * expected, expected)
    module._check_disjoint(classes)
