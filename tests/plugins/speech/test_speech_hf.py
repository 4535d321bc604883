"""``hf-audio`` with tiny models that were never trained."""

from __future__ import annotations

import pytest
import torch
from test_speech_encoders import audio

from metabench.errors import UnavailableError, UsageError
from metabench.learners.contracts import InputSpec
from metabench.torchaudio_compat import prepare_torchaudio
from metabench_speech.encoders.hf_audio import HFAudio

prepare_torchaudio()
transformers = pytest.importorskip("transformers")

WIDTH = 16
KINDS = ("wav2vec2", "hubert", "whisper")


def save(kind, folder):
    torch.manual_seed(0)
    if kind == "whisper":
        config = transformers.WhisperConfig(
            d_model=WIDTH, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, vocab_size=20,
            num_mel_bins=80, max_source_positions=100, pad_token_id=0, bos_token_id=1,
            eos_token_id=2, decoder_start_token_id=1,
        )  # fmt: skip
        transformers.WhisperModel(config).save_pretrained(folder)
        transformers.WhisperFeatureExtractor(chunk_length=2).save_pretrained(folder)
        return folder
    name = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert"}[kind]
    config = getattr(transformers, f"{name}Config")(
        hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        conv_dim=(8, 8), conv_stride=(20, 16), conv_kernel=(20, 16), num_feat_extract_layers=2,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, feat_extract_norm="layer",
        do_stable_layer_norm=True,
    )  # fmt: skip
    getattr(transformers, f"{name}Model")(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    return save(request.param, tmp_path_factory.mktemp(request.param))


def build(folder, inputs):
    return HFAudio(InputSpec.of("audio", inputs), argument=str(folder))


def test_embeds_and_does_not_see_padding_or_neighbours(folder):
    inputs = audio(5)
    encoder = build(folder, inputs).train()
    assert encoder.width == WIDTH
    with torch.inference_mode():
        found = encoder(encoder.prepare(inputs, torch.arange(5)))
        assert found.shape == (5, WIDTH)
        assert found.isfinite().all()
        alone = torch.cat([encoder({k: v[i : i + 1] for k, v in inputs.items()}) for i in range(5)])
        assert torch.allclose(found, alone, atol=1e-4)
        noisy = dict(inputs, waveform=inputs["waveform"].clone())
        for row, size in enumerate(inputs["length"].tolist()):
            noisy["waveform"][row, size:] = 9_999
        assert torch.equal(encoder(noisy), found)
    assert (found[0] - found[1]).abs().max() > 1e-4
    assert not any(p.requires_grad for p in encoder.parameters())


def test_the_digest_follows_the_weights(tmp_path):
    inputs = audio(1)
    first = build(save("hubert", tmp_path / "a"), inputs).weights_digest()
    assert build(save("hubert", tmp_path / "b"), inputs).weights_digest() == first
    assert build(save("wav2vec2", tmp_path / "c"), inputs).weights_digest() != first


def test_what_a_user_may_get_wrong(tmp_path):
    inputs = audio(1)
    with pytest.raises(UsageError, match="hf-audio:FOLDER"):
        build("", inputs)
    with pytest.raises(UnavailableError, match="does not exist"):
        build(tmp_path / "none", inputs)
    with pytest.raises(UnavailableError, match=r"no \*\.safetensors"):
        build(tmp_path, inputs)
    model = save("hubert", tmp_path / "m")
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UnavailableError, match="cannot be loaded"):
        build(model, inputs)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=8_000).save_pretrained(
        save("wav2vec2", tmp_path / "r")
    )
    with pytest.raises(UnavailableError, match="8000 Hz"):
        build(tmp_path / "r", inputs)
