import csv
import hashlib
import io
import re
import zipfile
from collections import Counter, defaultdict

import numpy as np
import pytest
from PIL import Image

from metabench.errors import UnavailableError
from metabench.tasks.files import SourceContext
from metabench_vision.sources.grocery import ROOT, coarse_split, grocery

HEADER = "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int)\n"


def jpeg(seed, size=84):
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def upstream(tmp_path):
    folder = tmp_path / ROOT
    folder.mkdir(parents=True)
    (folder / "classes.csv").write_text(
        HEADER + "Juice-A,0,Juice,0\nJuice-B,1,Juice,0\nPotato,2,Potato,1\nPepper,3,Pepper,2\n"
    )
    with zipfile.ZipFile(folder / "grocery_84.zip", "w") as archive:
        for part in ("train", "val", "test"):
            lines = []
            for label in range(4):
                name = f"{part}/x/{label}.jpg"
                archive.writestr(f"dataset/{name}", jpeg(label))
                lines.append(f"{name}, {label}, 0\n")
            (folder / f"{part}.txt").write_text("".join(lines))
    return folder


def load(tmp_path):
    return grocery(SourceContext("grocery", tmp_path))


def test_classes_follow_their_coarse_class(tmp_path, upstream):
    data = load(tmp_path)
    assert data.inputs["pixels"].shape == (12, 3, 84, 84)
    assert data.splits["train"].names == ("Juice-A", "Juice-B")
    assert data.splits["val"].names == ("Potato",)
    assert data.splits["test"].names == ("Pepper",)
    assert list(data.splits["test"].members[0]) == [3, 7, 11]


def test_upstream_photographs_are_resized(tmp_path, upstream):
    with zipfile.ZipFile(upstream / "grocery_84.zip") as archive:
        archive.extractall(upstream)
    (upstream / "grocery_84.zip").unlink()
    (upstream / "dataset/val/x/1.jpg").write_bytes(jpeg(1, size=200))
    assert load(tmp_path).inputs["pixels"].shape == (12, 3, 84, 84)


def test_missing_column(tmp_path, upstream):
    path = upstream / "classes.csv"
    path.write_text(path.read_text().replace("Coarse Class Name (str)", "Coarse"))
    message = re.escape("classes.csv line 1: column 'Coarse Class Name (str)' is missing")
    with pytest.raises(UnavailableError, match=message):
        load(tmp_path)


def test_bad_lines(tmp_path, upstream):
    path = upstream / "val.txt"
    path.write_text("val/x/0.jpg, 0, 0\nval/x/1.jpg, 99, 0\n")
    with pytest.raises(UnavailableError, match=r"val\.txt line 2: "):
        load(tmp_path)
    path.write_text("train/x/0.jpg, 0, 0\n")
    with pytest.raises(UnavailableError, match=r"val\.txt line 1: .* listed twice"):
        load(tmp_path)
    path.write_text("val/x/7.jpg, 0, 0\n")
    with pytest.raises(UnavailableError, match=r"val/x/7\.jpg .* missing"):
        load(tmp_path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnavailableError, match=r"val\.txt is not UTF-8"):
        load(tmp_path)


def test_truncated_zip(tmp_path, upstream):
    path = upstream / "grocery_84.zip"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UnavailableError, match=r"grocery_84\.zip is not a complete zip"):
        load(tmp_path)


@pytest.mark.real_data
def test_the_split_follows_its_stated_rule(vision_data):
    departments = defaultdict(Counter)
    with (vision_data / ROOT / "classes.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            department = row["Iconic Image Path (str)"].split("/")[2]
            departments[department][row["Coarse Class Name (str)"]] += 1
    expected = {}
    for sizes in departments.values():
        fine = sum(sizes.values())
        room = {"test": round(0.25 * fine), "val": round(0.15 * fine), "train": fine}
        order = sorted(sizes, key=lambda k: (-sizes[k], hashlib.sha256(k.encode()).hexdigest()))
        for coarse in order:
            split = next(s for s in ("test", "val", "train") if sizes[coarse] <= room[s])
            room[split] -= sizes[coarse]
            expected[coarse] = split
    assert coarse_split() == expected


@pytest.mark.real_data
def test_real_grocery(vision_data):
    data = load(vision_data)
    assert data.inputs["pixels"].shape == (5421, 3, 84, 84)
    assert {s: len(p.names) for s, p in data.splits.items()} == {
        "train": 48,
        "val": 12,
        "test": 21,
    }
    sizes = np.concatenate([pool.sizes for pool in data.splits.values()])
    assert (sizes.min(), sizes.max(), sizes.sum()) == (35, 143, 5421)
    assert data.inputs["pixels"].flatten(1).amax(1).min() > 0  # no row was left out
