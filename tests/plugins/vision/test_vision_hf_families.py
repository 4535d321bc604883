"""``hf-vision`` on tiny random models of the families that people use."""

import pytest
import torch

from metabench.learners.contracts import InputSpec
from metabench_vision.encoders.hf_vision import HFVision

T = pytest.importorskip("transformers")

BODY = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 16}
VIT = {**BODY, "intermediate_size": 16, "image_size": 32, "patch_size": 8}
DINO = {**BODY, "image_size": 32, "patch_size": 8}
NET = {"hidden_sizes": [8, 16], "depths": [1, 1]}
STAGES = {**NET, "num_stages": 2}
RESNET = {**NET, "embedding_size": 8, "layer_type": "basic"}
TEXT = {**BODY, "intermediate_size": 16, "vocab_size": 99}
FAMILIES = {
    "ViTModel": lambda: T.ViTConfig(**VIT),
    "ViTForImageClassification": lambda: T.ViTConfig(**VIT),
    "ViTMAEModel": lambda: T.ViTMAEConfig(**VIT),
    "ViTMAEForPreTraining": lambda: T.ViTMAEConfig(
        **VIT, decoder_hidden_size=16, decoder_num_hidden_layers=1, decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
    ),
    "DeiTModel": lambda: T.DeiTConfig(**VIT),
    "BeitModel": lambda: T.BeitConfig(**VIT),
    "ResNetModel": lambda: T.ResNetConfig(**RESNET),
    "ResNetForImageClassification": lambda: T.ResNetConfig(**RESNET),
    "ConvNextModel": lambda: T.ConvNextConfig(**STAGES),
    "ConvNextV2ForImageClassification": lambda: T.ConvNextV2Config(**STAGES),
    "Dinov2Model": lambda: T.Dinov2Config(**DINO),
    "Dinov2WithRegistersModel": lambda: T.Dinov2WithRegistersConfig(**DINO),
    "SwinModel": lambda: T.SwinConfig(
        embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4, image_size=32, patch_size=4
    ),
    "CLIPModel": lambda: T.CLIPConfig(text_config=TEXT, vision_config=VIT, projection_dim=16),
    "CLIPVisionModel": lambda: T.CLIPVisionConfig(**VIT),
    "CLIPVisionModelWithProjection": lambda: T.CLIPVisionConfig(**VIT, projection_dim=8),
    "SiglipVisionModel": lambda: T.SiglipVisionConfig(**VIT),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_embeds_the_same_from_its_folder(family, tmp_path):
    torch.manual_seed(0)
    getattr(T, family)(FAMILIES[family]()).save_pretrained(tmp_path)
    spec = InputSpec("image", {"pixels": (3, 20, 20)}, {"pixels": torch.uint8})
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (3, 3, 20, 20), dtype=torch.uint8, generator=generator)
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        encoder = HFVision(spec, argument=str(tmp_path))
        with torch.inference_mode():
            found.append(encoder({"pixels": pixels}))
            alone = torch.cat([encoder({"pixels": one}) for one in pixels.split(1)])
    assert found[0].shape == (3, encoder.width) == (3, 16)
    assert torch.equal(*found)
    torch.testing.assert_close(alone, found[0], atol=1e-5, rtol=1e-4)
    assert (found[0][0] - found[0][1]).abs().max() > 1e-6
