"""timm's models, on small ones with random weights of our own."""

import hashlib
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from metabench.errors import UnavailableError, UsageError
from metabench.learners.contracts import InputSpec
from metabench.registry.checks import descriptor_faults
from metabench.torchvision_compat import import_torchvision, prepare_torchvision
from metabench_vision import plugin
from metabench_vision.encoders.timm_model import TimmModel

prepare_torchvision()  # one built for another torch would keep timm from being imported
timm = pytest.importorskip("timm", reason="timm, which needs torchvision, is not installed")

NAME = "test_resnet.r160_in1k"
GREY = InputSpec("image", {"pixels": (1, 28, 28)}, {"pixels": torch.uint8})
COLOUR = InputSpec("image", {"pixels": (3, 84, 84)}, {"pixels": torch.uint8})


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def save(name, folder, **options):
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, **options).eval()
    path = folder / f"{name}.safetensors"
    save_file(model.state_dict(), path)
    return path, model


def images(*shape):
    generator = torch.Generator().manual_seed(0)
    return {"pixels": torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)}


def test_descriptor():
    (info,) = [info for info in plugin.metabench_encoders() if info.name == "timm"]
    assert not descriptor_faults(info)
    assert info.libraries == ("timm",)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
def test_weights_of_ones_own(name, tmp_path):
    path, model = save(name, tmp_path)
    encoder = TimmModel(COLOUR, argument=f"{name}@{path}")
    x = images(2, 3, 84, 84)
    with torch.inference_mode():
        found = encoder(x)
        size, mean, std = encoder.size, encoder.mean, encoder.std
        pixels = torch.nn.functional.interpolate(
            x["pixels"].float() / 255, size, mode=encoder.mode, antialias=True, align_corners=False
        ).clamp(0, 1)
        expected = model.forward_head(
            model.forward_features((pixels - mean) / std), pre_logits=True
        )
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert encoder.width == found.shape[1]
    assert not any(p.requires_grad for p in encoder.parameters())
    assert not encoder.train().model.training
    assert encoder.weights_digest() == hashlib.sha256(path.read_bytes()).hexdigest()
    assert encoder.files == (str(path),)


def test_grey_images_and_their_size(tmp_path):
    path, _ = save("test_resnet", tmp_path)
    encoder = TimmModel(GREY, argument=f"test_resnet@{path}")
    again = TimmModel(GREY, argument=f"test_resnet@{path}")
    with torch.inference_mode():
        assert torch.equal(encoder(images(2, 1, 28, 28)), again(images(2, 1, 28, 28)))
    two = InputSpec("image", {"pixels": (2, 28, 28)}, {"pixels": torch.uint8})
    with pytest.raises(UnavailableError, match="takes images of 3 channels, not of 2"):
        TimmModel(two, argument=f"test_resnet@{path}")


def test_pretrained_weights_come_from_the_cache_of_the_hub(tmp_path):
    path, _ = save("test_resnet", tmp_path)
    commit = "0" * 40
    repository = tmp_path / "hub" / f"models--timm--{NAME}"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    path.rename(snapshot / "model.safetensors")
    encoder = TimmModel(GREY, argument=NAME)
    assert encoder.files == (str(snapshot / "model.safetensors"),)
    assert encoder(images(1, 1, 28, 28)).isfinite().all()


def test_offline_it_says_how_to_fetch_the_weights():
    with pytest.raises(UnavailableError) as caught:
        TimmModel(GREY, argument=NAME)
    message = str(caught.value)
    assert f"`hf download timm/{NAME} model.safetensors`" in message
    assert f"timm:{NAME}@FILE.safetensors" in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("argument", "error", "said"),
    [
        ("test_resnett", UsageError, "has no such model; did you mean test_resnet"),
        ("", UsageError, "has no such model"),
        ("test_resnet@weights.pth", UsageError, "have to be a .safetensors file"),
        ("test_resnet@/no/where.safetensors", UnavailableError, "does not exist"),
    ],
)
def test_mistakes(argument, error, said):
    with pytest.raises(error) as caught:
        TimmModel(GREY, argument=argument)
    assert said in str(caught.value)


def test_weights_that_do_not_fit_or_are_incomplete(tmp_path):
    path, _ = save("test_resnet", tmp_path)
    with pytest.raises(UnavailableError, match=r"lacks .* weights of timm:test_vit"):
        TimmModel(GREY, argument=f"test_vit@{path}")
    weights = load_file(path)
    first = next(name for name in weights if name.endswith("conv1.weight") and "layer" in name)
    del weights[first]
    save_file(weights, path)
    with pytest.raises(UnavailableError, match=r"lacks 1 weights|does not fit") as caught:
        TimmModel(GREY, argument=f"test_resnet@{path}")
    assert first in str(caught.value)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UnavailableError, match="does not fit"):
        TimmModel(GREY, argument=f"test_resnet@{path}")


def test_without_timm_or_torchvision(tmp_path, monkeypatch):
    path, _ = save("test_resnet", tmp_path)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UnavailableError, match=r"metabench-vision\[timm\]"):
        TimmModel(GREY, argument=f"test_resnet@{path}")


def test_torchvision_is_importable_whatever_torch_it_was_built_for():
    assert import_torchvision() is sys.modules["torchvision"]
    from torchvision.transforms import Normalize

    assert Normalize([0.5], [0.5])(torch.ones(1, 2, 2)).eq(1).all()
