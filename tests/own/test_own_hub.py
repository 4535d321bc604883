"""Data sets of Hugging Face that lie in a folder: images, texts, tables, and saved ones."""

import io
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from own_cases import CITIES, load, look, photos, sentences, table

from metabench.errors import MetabenchError, UsageError

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def _offline(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def test_a_folder_of_images_is_that_of_data_folder(tmp_path):
    folder = photos(tmp_path / "a")
    found = load(hf_dataset=str(folder))
    assert found.modality == "image"
    assert found.digest == load(data_folder=folder).digest


def test_a_table_is_that_of_data_table(tmp_path):
    (tmp_path / "a").mkdir()
    path = table(tmp_path / "a" / "train.csv", sentences())
    expected = load(data_table=path, text="text", label="label").digest
    assert load(hf_dataset=str(tmp_path / "a"), text="text").digest == expected
    assert load(hf_dataset=str(tmp_path / "a"), text="text", label="label").digest == expected


def test_splits_of_the_same_classes_are_merged_and_class_names_are_used(tmp_path):
    features = datasets.Features(
        {"words": datasets.Value("string"), "intent": datasets.ClassLabel(names=["hi", "bye"])}
    )
    parts = datasets.DatasetDict({
        split: datasets.Dataset.from_dict(
            {"words": [f"{split} {n}" for n in range(4)], "intent": [0, 1, 0, -1]},
            features=features,
        )
        for split in ("train", "test")
    })  # fmt: skip
    parts.save_to_disk(tmp_path / "saved")
    data = load(hf_dataset=str(tmp_path / "saved"), text="words")
    assert data.splits["test"].names == ("bye", "hi")
    assert data.splits["test"].sizes.tolist() == [2, 4]
    assert "train, val and test merged: they hold the same classes" in data.notes
    assert any("2 rows without a label left out" in note for note in data.notes)


def test_recordings_in_a_data_set_need_no_torchcodec(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    files = []
    for number in range(4):
        written = io.BytesIO()
        soundfile.write(written, rng.uniform(-1, 1, 4000), 8000, format="WAV")
        files.append({"bytes": written.getvalue(), "path": f"{number}.wav"})
    columns = pa.table({"audio": files, "label": pa.array([0, 0, 1, 1])})
    features = {
        "audio": {"sampling_rate": None, "_type": "Audio"},
        "label": {"names": ["yes", "no"], "_type": "ClassLabel"},
    }
    info = datasets.Features.from_dict(features).arrow_schema.metadata
    (tmp_path / "a").mkdir()
    pq.write_table(columns.replace_schema_metadata(info), tmp_path / "a" / "train.parquet")
    data = load(hf_dataset=str(tmp_path / "a"))
    assert data.inputs["waveform"].shape == (4, 8000)
    assert data.splits["test"].names == ("no", "yes")


def test_what_is_missing_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    table(tmp_path / "a" / "train.csv", sentences(), ("text", "kind"))
    name = str(tmp_path / "a")
    with pytest.raises(UsageError, match=r"which column holds the items.*text, kind"):
        look(hf_dataset=name)
    with pytest.raises(UsageError, match=r"which column holds the classes.*text, kind"):
        look(hf_dataset=name, text="text")
    with pytest.raises(UsageError, match="unknown column 'txt'; did you mean text"):
        look(hf_dataset=name, text="txt", label="kind")
    with pytest.raises(UsageError, match="column 'text' holds no files"):
        look(hf_dataset=name, file="text", label="kind")
    with pytest.raises(MetabenchError, match=r"'no/such-thing' cannot be loaded \(.*\); check"):
        look(hf_dataset="no/such-thing")
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a").mkdir()
    with pytest.raises(MetabenchError, match=r"cannot be loaded .*--data-folder"):
        look(hf_dataset=name)


def test_a_folder_is_named_after_itself_and_its_changes_are_noticed(tmp_path):
    folder = photos(tmp_path / "My-Set")
    session = look(hf_dataset=str(folder))
    assert session.own == "my-set"
    state = session.catalogue.source("my-set").info.options["state"]
    (folder / CITIES[0] / "0.png").unlink()
    assert look(hf_dataset=str(folder)).catalogue.source("my-set").info.options["state"] != state


def test_planning_without_own_data_imports_neither_pandas_readers_nor_datasets(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from metabench.runs.request import RunRequest\n"
        "from metabench.runs.session import Session\n"
        f"Session.start(RunRequest(store=Path({str(tmp_path)!r})), only_read=True)\n"
        "assert not {'datasets', 'metabench.own.describe'} & set(sys.modules)\n"
        f"Session.start(RunRequest(store=Path({str(tmp_path)!r}), "
        f"data_folder={str(photos(tmp_path / 'a'))!r}), only_read=True)\n"
        "assert not {'datasets', 'torch', 'PIL'} & set(sys.modules), sorted(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})
