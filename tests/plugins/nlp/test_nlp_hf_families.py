"""``hf-text`` on tiny random models of the families that people use."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from metabench.errors import UnavailableError
from metabench.learners.contracts import InputSpec
from metabench_nlp.encoders.hf_text import HFText
from metabench_nlp.text import pack

T = pytest.importorskip("transformers")

WORDS = ("[PAD]", "[UNK]", "hello", "world", "the", "quick", "brown", "fox", "jumps", "a")
TEXTS = ["hello world", "the quick brown fox jumps", "a"]
BODY = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
    "vocab_size": 20,
}  # fmt: skip
T5 = {"vocab_size": 20, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
GPT2 = {"vocab_size": 20, "n_embd": 16, "n_layer": 1, "n_head": 2, "bos_token_id": 0}
BART = {
    "vocab_size": 20, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
}  # fmt: skip
FAMILIES = {
    "BertModel": lambda: T.BertConfig(**BODY),
    "BertForMaskedLM": lambda: T.BertConfig(**BODY),
    "RobertaModel": lambda: T.RobertaConfig(**BODY, max_position_embeddings=40),
    "DistilBertModel": lambda: T.DistilBertConfig(
        dim=16, n_layers=1, n_heads=2, hidden_dim=16, vocab_size=20
    ),
    "DebertaV2Model": lambda: T.DebertaV2Config(**BODY),
    "ElectraModel": lambda: T.ElectraConfig(**BODY, embedding_size=16),
    "MPNetModel": lambda: T.MPNetConfig(**BODY),
    "XLNetModel": lambda: T.XLNetConfig(vocab_size=20, d_model=16, n_layer=1, n_head=2, d_inner=16),
    "ModernBertModel": lambda: T.ModernBertConfig(
        **BODY, pad_token_id=0, bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3
    ),
    "T5Model": lambda: T.T5Config(**T5),
    "T5EncoderModel": lambda: T.T5Config(**T5),
    "T5ForConditionalGeneration": lambda: T.T5Config(**T5),
    "BartModel": lambda: T.BartConfig(**BART),
    "GPT2Model": lambda: T.GPT2Config(**GPT2, eos_token_id=0),
    "GPT2LMHeadModel": lambda: T.GPT2Config(**GPT2, eos_token_id=0),
    "LlamaModel": lambda: T.LlamaConfig(**BODY, num_key_value_heads=2),
}  # fmt: skip


def save(family, folder, *, padding=True):
    torch.manual_seed(0)
    getattr(T, family)(FAMILIES[family]()).save_pretrained(folder)
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    unknown = {"unk_token": WORDS[1]}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, **unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    more = unknown | ({"pad_token": WORDS[0]} if padding else {})
    T.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **more).save_pretrained(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_embeds_the_same_from_its_folder(family, tmp_path):
    save(family, tmp_path, padding=not family.startswith("GPT2"))
    inputs = pack(TEXTS)
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        encoder = HFText(InputSpec.of("text", inputs), str(tmp_path))
        prepared = encoder.prepare(inputs, torch.arange(0))
        with torch.inference_mode():
            found.append(encoder(prepared))
            rows = [{k: v[i : i + 1] for k, v in prepared.items()} for i in range(3)]
            alone = torch.cat([encoder(row) for row in rows])
    assert found[0].shape == (3, encoder.width) == (3, 16)
    assert torch.equal(*found)
    torch.testing.assert_close(alone, found[0], atol=1e-4, rtol=1e-3)
    assert (found[0][0] - found[0][1]).abs().max() > 1e-6


def test_weights_that_are_missing_are_not_made_up(tmp_path):
    save("BertModel", tmp_path)
    path = tmp_path / "model.safetensors"
    kept = {n: t for n, t in load_file(path).items() if "word_embeddings" not in n}
    save_file(kept, path, metadata={"format": "pt"})
    with pytest.raises(UnavailableError, match="it lacks 1 weights, such as embeddings"):
        HFText(InputSpec.of("text", pack(TEXTS)), str(tmp_path))


def test_a_tokenizer_that_knows_no_text_is_refused(tmp_path, monkeypatch):
    save("BertModel", tmp_path)
    inputs = pack(TEXTS)
    encoder = HFText(InputSpec.of("text", inputs), str(tmp_path))
    monkeypatch.setattr(
        encoder, "_tokenizer", lambda texts, **_: {"input_ids": [[] for _ in texts]}
    )
    with pytest.raises(UnavailableError, match="makes nothing of any text"):
        encoder.prepare(inputs, torch.arange(0))
