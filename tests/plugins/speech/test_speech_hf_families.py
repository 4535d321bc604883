"""``hf-audio`` on tiny random models of more families, and with other heads."""

import pytest
import torch
from test_speech_encoders import audio

from metabench.errors import UnavailableError
from metabench.learners.contracts import InputSpec
from metabench.torchaudio_compat import prepare_torchaudio
from metabench_speech.encoders.hf_audio import HFAudio

prepare_torchaudio()
T = pytest.importorskip("transformers")

BODY = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
}  # fmt: skip
WAVE = {
    **BODY, "conv_dim": (8, 8), "conv_stride": (20, 16), "conv_kernel": (20, 16),
    "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
WHISPER = {
    "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "vocab_size": 20,
    "max_source_positions": 100, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 1,
}  # fmt: skip
FAMILIES = {
    "Wav2Vec2ForCTC": (lambda: T.Wav2Vec2Config(**WAVE, vocab_size=20), None),
    "WavLMModel": (lambda: T.WavLMConfig(**WAVE), None),
    "WhisperForConditionalGeneration": (
        lambda: T.WhisperConfig(**WHISPER), lambda: T.WhisperFeatureExtractor(chunk_length=2),
    ),
    **{
        name: (
            lambda: T.ASTConfig(**BODY, max_length=64),
            lambda: T.ASTFeatureExtractor(max_length=64),
        )
        for name in ("ASTModel", "ASTForAudioClassification")
    },
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_embeds_the_same_from_its_folder(family, tmp_path):
    torch.manual_seed(0)
    configure, extract = FAMILIES[family]
    getattr(T, family)(configure()).save_pretrained(tmp_path)
    if extract is not None:
        extract().save_pretrained(tmp_path)
    inputs = audio(3)
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        encoder = HFAudio(InputSpec.of("audio", inputs), argument=str(tmp_path))
        with torch.inference_mode():
            found.append(encoder(inputs))
    assert found[0].shape == (3, encoder.width) == (3, 16)
    assert torch.equal(*found)
    assert found[0].isfinite().all()
    assert (found[0][0] - found[0][1]).abs().max() > 1e-6


def test_a_model_for_another_rate_is_refused(tmp_path):
    T.Wav2Vec2Model(T.Wav2Vec2Config(**WAVE)).save_pretrained(tmp_path)
    T.Wav2Vec2FeatureExtractor(sampling_rate=48_000).save_pretrained(tmp_path)
    inputs = audio(2)
    with pytest.raises(UnavailableError, match="takes 48000 Hz, not 16000"):
        HFAudio(InputSpec.of("audio", inputs), argument=str(tmp_path))
