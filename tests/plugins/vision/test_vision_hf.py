"""Backbones of transformers, on tiny models with random weights."""

import hashlib
import json
import sys

import pytest
import torch

from metabench.errors import UnavailableError
from metabench.learners.contracts import InputSpec
from metabench_vision.encoders import hf_vision
from metabench_vision.encoders.hf_vision import HFVision, Preprocessing

transformers = pytest.importorskip("transformers")

GREY = InputSpec("image", {"pixels": (1, 28, 28)}, {"pixels": torch.uint8})
COLOUR = InputSpec("image", {"pixels": (3, 84, 84)}, {"pixels": torch.uint8})
VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
}
SETTINGS = {
    "size": {"height": 32, "width": 32},
    "image_mean": [0.1, 0.2, 0.3],
    "image_std": [0.5, 0.6, 0.7],
    "resample": 3,
}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def vit(tmp_path):
    torch.manual_seed(0)
    folder = tmp_path / "vit"
    transformers.ViTModel(transformers.ViTConfig(**VIT)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(SETTINGS))
    return folder


def images(*shape):
    generator = torch.Generator().manual_seed(0)
    return {"pixels": torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)}


def test_vit(vit):
    encoder = HFVision(GREY, argument=str(vit))
    with torch.inference_mode():
        out = encoder(images(3, 1, 28, 28))
    assert out.shape == (3, encoder.width) == (3, 16)
    assert not any(p.requires_grad for p in encoder.parameters())
    assert not encoder.train().training
    assert not encoder.model.training
    again = HFVision(GREY, argument=str(vit))
    assert torch.equal(again(images(3, 1, 28, 28)), out)
    digest = hashlib.sha256((vit / "model.safetensors").read_bytes()).hexdigest()
    assert encoder.weights_digest() == again.weights_digest() == digest


def test_preprocessing_is_that_of_the_model(vit):
    encoder = HFVision(COLOUR, argument=str(vit))
    assert encoder.preprocessing.mode == "bicubic"
    seen = []
    encoder.model.register_forward_pre_hook(
        lambda _m, _a, kwargs: seen.append(kwargs["pixel_values"]), with_kwargs=True
    )
    encoder({"pixels": torch.full((1, 3, 84, 84), 255, dtype=torch.uint8)})
    expected = [(1 - m) / s for m, s in zip((0.1, 0.2, 0.3), (0.5, 0.6, 0.7), strict=True)]
    assert seen[0].shape == (1, 3, 32, 32)
    assert torch.allclose(seen[0].mean((0, 2, 3)), torch.tensor(expected), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({}, (32, 32)),
        ({"size": {"shortest_edge": 40}}, (40, 40)),
        ({"size": 48}, (48, 48)),
        ({"size": {"shortest_edge": 40}, "do_center_crop": True, "crop_size": 32}, (32, 32)),
        ({"size": {"height": 20, "width": 24}, "crop_size": {"height": 9, "width": 9}}, (20, 24)),
    ],
)
def test_sizes(settings, size):
    assert Preprocessing.of(settings, transformers.ViTConfig(**VIT)).size == size


def test_weights_without_pooler_give_the_class_token(tmp_path):
    folder = tmp_path / "classifier"
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**VIT))
    model.save_pretrained(folder)
    outputs = [HFVision(COLOUR, argument=str(folder))(images(2, 3, 84, 84)) for _ in range(2)]
    assert torch.equal(*outputs)  # a pooler would have new random weights in each


def test_resnet_is_pooled(tmp_path):
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"
    )
    transformers.ResNetModel(config).save_pretrained(tmp_path / "resnet")
    encoder = HFVision(COLOUR, argument=str(tmp_path / "resnet"))
    assert encoder(images(2, 3, 84, 84)).shape == (2, 16)


def test_clip_gives_image_features(tmp_path):
    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    config = transformers.CLIPConfig(
        text_config={**tower, "num_attention_heads": 2, "vocab_size": 99, "projection_dim": 8},
        vision_config={**tower, "num_attention_heads": 2, "image_size": 32, "patch_size": 8},
        projection_dim=8,
    )
    transformers.CLIPModel(config).save_pretrained(tmp_path / "clip")
    encoder = HFVision(GREY, argument=str(tmp_path / "clip"))
    assert encoder(images(2, 1, 28, 28)).shape == (2, encoder.width) == (2, 8)


def test_shards_are_found_and_digested(vit, tmp_path):
    folder = tmp_path / "sharded"
    model = transformers.ViTModel.from_pretrained(vit)
    model.save_pretrained(folder, max_shard_size="8KB")
    assert len(hf_vision.weight_files(folder)) > 1
    whole, parts = HFVision(GREY, argument=str(vit)), HFVision(GREY, argument=str(folder))
    assert whole.weights_digest() != parts.weights_digest()
    assert len(parts.weights_digest()) == 64
    hf_vision.weight_files(folder)[0].unlink()
    with pytest.raises(UnavailableError, match="lacks"):
        HFVision(GREY, argument=str(folder))


@pytest.mark.parametrize(
    "argument", ["", "/no/such/folder", "nobody/no-such-model", "nobody/model@v1", "not an id!"]
)
def test_model_that_is_not_there(argument):
    with pytest.raises(UnavailableError, match="hf-vision:FOLDER") as caught:
        HFVision(GREY, argument=argument)
    assert len(str(caught.value).splitlines()) == 1


def test_pickled_weights_are_not_read(vit):
    (vit / "model.safetensors").rename(vit / "pytorch_model.bin")
    with pytest.raises(UnavailableError, match=r"lacks config\.json or model\.safetensors"):
        HFVision(GREY, argument=str(vit))


def test_code_of_the_repository_is_not_run(vit):
    config = json.loads((vit / "config.json").read_text())
    del config["model_type"]
    config["auto_map"] = {"AutoModel": "evil.Model"}
    (vit / "config.json").write_text(json.dumps(config))
    (vit / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(UnavailableError, match="does not load"):
        HFVision(GREY, argument=str(vit))


def test_truncated_weights(vit):
    path = vit / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UnavailableError, match="does not load"):
        HFVision(GREY, argument=str(vit))


def test_incomplete_weights(vit):
    from safetensors.torch import load_file, save_file

    weights = load_file(vit / "model.safetensors")
    kept = {name: t for name, t in weights.items() if "cls_token" not in name}
    save_file(kept, vit / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UnavailableError, match=r"lacks 1 weights, such as embeddings\.cls_token"):
        HFVision(GREY, argument=str(vit))


def test_without_transformers(vit, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UnavailableError, match=r"metabench-vision\[hf\]"):
        HFVision(GREY, argument=str(vit))
