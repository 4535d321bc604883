import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from metabench.errors import UnavailableError
from metabench.tasks.files import SourceContext
from metabench_vision.sources.omniglot import ROOT, omniglot
from metabench_vision.sources.omniglot_lake_runs import omniglot_lake_runs


def png(seed):
    bits = np.random.default_rng(seed).random((105, 105)) > 0.2
    stream = io.BytesIO()
    Image.fromarray((bits * 255).astype(np.uint8)).convert("1").save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def upstream(tmp_path):
    """Six alphabets of one character, and twenty runs whose query i + 1 is of class i."""
    folder = tmp_path / ROOT
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "images_background.zip", "w") as archive:
        for alphabet in "abcdef":
            for drawer in range(1, 21):
                archive.writestr(
                    f"images_background/{alphabet}/character01/0001_{drawer:02d}.png", png(drawer)
                )
    with zipfile.ZipFile(folder / "all_runs.zip", "w") as archive:
        for run in range(1, 21):
            lines = []
            for n in range(1, 21):
                other = n % 20 + 1
                archive.writestr(f"run{run:02d}/training/class{n:02d}.png", png(n))
                archive.writestr(f"run{run:02d}/test/item{other:02d}.png", png(n))
                lines.append(
                    f"run{run:02d}/test/item{other:02d}.png run{run:02d}/training/class{n:02d}.png"
                )
            archive.writestr(f"run{run:02d}/class_labels.txt", "\n".join(sorted(lines)))
    return folder


def load(tmp_path):
    return omniglot_lake_runs(SourceContext("omniglot-lake-runs", tmp_path))


def test_labels_are_read_and_not_assumed(tmp_path, upstream):
    data = load(tmp_path)
    assert [len(data.splits[s].names) for s in ("train", "val", "test")] == [5, 1, 20]
    pixels = data.inputs["pixels"].numpy()
    for task in data.splits["test"].tasks:
        assert task.way == 20
        assert list(task.targets[task.support]) == list(range(20))
        assert sorted(task.targets[task.query]) == list(range(20))
        for position in task.query:  # here a query has the very pixels of its class
            shot = task.items[task.support[task.targets[position]]]
            assert np.array_equal(pixels[task.items[position]], pixels[shot])


def rewrite(path, drop="", swap=None):
    with zipfile.ZipFile(path) as archive:
        held = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in held.items():
            if name != drop:
                archive.writestr(name, (swap or {}).get(name, data))


def test_missing_parts(tmp_path, upstream):
    rewrite(upstream / "all_runs.zip", swap={"run02/class_labels.txt": b"run02/test/item01.png\n"})
    with pytest.raises(UnavailableError, match=r"run02/class_labels\.txt line 1: "):
        load(tmp_path)
    rewrite(upstream / "all_runs.zip", drop="run02/class_labels.txt")
    with pytest.raises(UnavailableError, match=r"run02/class_labels\.txt is missing"):
        load(tmp_path)
    rewrite(upstream / "all_runs.zip", drop="run01/test/item05.png")
    with pytest.raises(UnavailableError, match=r"run01/test/item05\.png is missing"):
        load(tmp_path)


@pytest.mark.real_data
@pytest.mark.slow
def test_real_runs(vision_data):
    data = load(vision_data)
    assert [len(data.splits[s].names) for s in ("train", "val")] == [806, 158]
    tasks = data.splits["test"].tasks
    assert len(tasks) == 20
    pixels = data.inputs["pixels"].numpy()[:, 0]
    full = omniglot(SourceContext("omniglot", vision_data), rotations=False)
    # What is tested on is no drawing of the background set, but for strokes that coincide.
    background = {pixels[i].tobytes() for s in ("train", "val") for i in data.splits[s].items}
    drawn = {image.tobytes() for image in full.inputs["pixels"].numpy()[:, 0]}
    runs = [pixels[item].tobytes() for task in tasks for item in task.items]
    assert all(image in drawn for image in runs)
    assert sum(image in background for image in runs) <= 8
    # Nearest neighbour in pixels is far better than chance (0.05), so the labels are read right.
    hits = []
    for task in tasks:
        x = pixels[task.items].reshape(40, -1).astype(np.float32)
        distance = ((x[task.query][:, None] - x[task.support][None]) ** 2).sum(-1)
        hits.append(task.targets[task.support][distance.argmin(1)] == task.targets[task.query])
    assert 0.15 < np.mean(hits) < 0.6
