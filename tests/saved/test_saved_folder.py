"""What is written, and what is refused when it is read."""

import ast
import json
import re
import shutil
from dataclasses import replace

import pytest
from safetensors.torch import load_file, save_file

from metabench.errors import MetabenchError, UnavailableError, UsageError
from metabench.registry.discovery import load_plugins
from metabench.saved.config import file_sha256, read_config
from metabench.saved.load import load
from metabench.saved.select import export


@pytest.fixture
def folder(trained, saved, tmp_path, _toy_here):
    """A copy of a saved learner that a test may spoil."""

    def copy(name):
        return shutil.copytree(trained.folder / "saved" / name, tmp_path / name)

    return copy


def change(folder, **values):
    path = folder / "config.json"
    content = json.loads(path.read_text("utf-8"))
    for name, value in values.items():
        place = content
        *above, last = name.split("__")
        for part in above:
            place = place[part]
        place[last] = value
    path.write_text(json.dumps(content), "utf-8")


def test_the_configuration_tells_all(folder):
    config = read_config(folder("protonet"))
    assert config.source == "blobs"
    assert config.encoder.trainable
    assert config.algorithm.hyperparameters["learning_rate"] == 1e-3
    assert config.way == 5
    assert config.protocol["shot"] == 2
    assert config.inputs["points"].shape == (8,)
    assert config.score.chance == pytest.approx(0.2)
    assert config.score.ci95_low < config.score.mean < config.score.ci95_high
    assert config.training["examples"] > 0


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("seeing", "all items of one call of `predict` together"),
        ("fitted", "holds the 600 items that it was trained on"),
        ("maml", "copy of the encoder's weights"),
        ("binary", "the second in sorted order is the positive one"),
        ("values", "1 number(s) for each item"),
    ],
)
def test_the_note_says_what_matters(folder, name, told):
    text = (folder(name) / "README.md").read_text("utf-8")
    assert told in " ".join(text.split())
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    ast.parse(snippet)
    assert len(snippet.splitlines()) <= 10
    assert f'metabench.load("{name}")' in snippet


@pytest.mark.parametrize(
    ("values", "error", "told"),
    [
        ({"format": 2}, MetabenchError, "format 2, and this metabench reads format 1"),
        ({"way": "five"}, MetabenchError, "way = 'five'"),
        ({"encoder__registered": "toy-lost"}, UnavailableError, "pip install metabench-toy==0.3.0"),
        ({"inputs__points__dtype": "pickle"}, MetabenchError, "is no type of a tensor"),
    ],
)
def test_a_configuration_that_cannot_be_used(folder, values, error, told):
    place = folder("protonet")
    change(place, **values)
    with pytest.raises(error, match=told):
        load(place)


def test_no_saved_learner_at_all(tmp_path):
    with pytest.raises(UsageError, match="is no saved learner"):
        load(tmp_path)
    (tmp_path / "config.json").write_text("{", "utf-8")
    with pytest.raises(MetabenchError, match="cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize("file", ["model.safetensors", "reference.safetensors"])
def test_a_flipped_byte_is_found(folder, file):
    place = folder("fitted")
    content = bytearray((place / file).read_bytes())
    content[-1] ^= 1
    (place / file).write_bytes(bytes(content))
    with pytest.raises(MetabenchError, match=f"{file} has sha256"):
        load(place)


def test_weights_that_do_not_fit_name_the_version(folder):
    place = folder("protonet")
    tensors = load_file(place / "model.safetensors")
    save_file({name: tensor[:3] for name, tensor in tensors.items()}, place / "model.safetensors")
    change(place, weights_sha256=file_sha256(place / "model.safetensors"))
    with pytest.raises(MetabenchError, match=r"does not fit .* metabench-toy 0\.3\.0"):
        load(place)


def test_other_weights_of_a_frozen_encoder_are_refused(folder):
    place = folder("frozen")
    change(place, encoder__weights="0" * 64)
    with pytest.raises(MetabenchError, match="the weights of the encoder toy-plain are"):
        load(place)


def test_other_code_is_warned_of(folder):
    place = folder("frozen")
    change(place, algorithm__code="0" * 64)
    with pytest.warns(UserWarning, match="simpleshot of metabench-algorithms .* is other code"):
        load(place)


def test_a_missing_algorithm_names_its_distribution(folder):
    catalogue = load_plugins()
    without = {n: e for n, e in catalogue.algorithms.items() if n != "simpleshot"}
    with pytest.raises(UnavailableError, match="pip install metabench-algorithms=="):
        load(folder("frozen"), catalogue=replace(catalogue, algorithms=without))


def test_an_encoder_under_another_name(folder):
    with pytest.raises(UsageError, match="weights are in the folder"):
        load(folder("protonet"), encoder="toy-plain")
    load(folder("frozen"), encoder="toy-plain")
    with pytest.raises(UnavailableError, match="'elsewhere'"):
        load(folder("logistic"), encoder="elsewhere")


@pytest.mark.usefixtures("saved", "_toy_here")
def test_what_a_learner_keeps_outside_of_its_buffers_stops_the_export(
    trained, monkeypatch, tmp_path
):
    from metabench_algorithms.metric.simpleshot import SimpleShot

    adapt = SimpleShot.adapt

    def fit(self, features):
        self.noticed = features[0]

    def adapt_by_it(self, support):
        predict = adapt(self, support)
        return lambda query: predict(query - getattr(self, "noticed", 0))

    monkeypatch.setattr(SimpleShot, "fit_features", fit)
    monkeypatch.setattr(SimpleShot, "adapt", adapt_by_it)
    with pytest.raises(MetabenchError, match="elsewhere than in parameters and buffers"):
        export(
            tmp_path / "out", trained.folder / "results", source="blobs", encoder="toy-plain",
            algorithm="simpleshot",
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "records of 3 sources; name one"),
        ({"source": "blob"}, "did you mean blobs"),
        ({"source": "blobs", "algorithm": "protonett"}, "did you mean protonet"),
        ({"source": "blobs", "algorithm": "protonet"}, "stands for 5 learners"),
        ({"source": "blobs", "encoder": "toy-map", "algorithm": "maml"}, "no score with toy-map"),
        ({"source": "blobs", "encoder": "none", "seed": 3}, "--seed 3 was not run; 0 was"),
        ({"source": "blobs", "encoder": "none", "shots": "9"}, "--shots 9 has no score here"),
    ],
)
@pytest.mark.usefixtures("saved", "_toy_here")
def test_names_that_stand_for_nothing(trained, tmp_path, options, told):
    with pytest.raises(UsageError, match=told):
        export(tmp_path / "out", trained.folder / "results", **options)


@pytest.mark.usefixtures("saved", "_toy_here")
def test_a_folder_that_holds_something_is_left_alone(trained, tmp_path):
    (tmp_path / "mine.txt").write_text("precious", "utf-8")
    with pytest.raises(UsageError, match="not an empty folder"):
        export(tmp_path, trained.folder / "results", source="blobs", encoder="none")
    assert (tmp_path / "mine.txt").read_text("utf-8") == "precious"


@pytest.mark.slow
def test_the_recommended_learner_is_what_is_saved_without_a_name(trained):
    out, _ = trained("export", "best", "--source", "blobs")
    told, _ = trained("recommend", "--source", "blobs")
    config = read_config(trained.folder / "best")
    assert f"{config.algorithm.name} with {config.encoder.name} on blobs" in told
    assert config.score.optimism is not None
    assert "queries answered as in the record" in out
    _, err = trained("export", "best", "--source", "blobs", code=2)
    assert "name a new one" in err
