"""Many copies at once give what a loop over the copies gives, to the second derivative."""

import numpy as np
import pytest
import torch
from torch.func import functional_call

from metabench.learners import copies
from metabench.learners.contracts import InputSpec, TaskSpec
from metabench.learners.copies import convolve_as_product, convolve_in_groups
from metabench.learners.device import Compute
from metabench.learners.model import FewShotModel, Problem
from metabench.tasks.sampler import EpisodeBatch
from metabench_algorithms.gradient.maml import MAML
from metabench_speech.encoders.mel_conv4 import MelConv4
from metabench_vision.encoders.conv4 import Conv4

STEP = 0.1
COPIES = 3


def loop(encoder, weights, inputs):
    rows = []
    for copy in range(COPIES):
        state = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
        state |= {name: weight[copy] for name, weight in weights.items()}
        batch = {name: x[copy] for name, x in inputs.items()}
        rows.append(functional_call(encoder, state, (batch,)))
    return torch.stack(rows)


def on_images(shape):
    spec = InputSpec("image", {"pixels": shape}, {"pixels": torch.uint8})
    pixels = torch.randint(0, 256, (COPIES, 6, *shape), dtype=torch.uint8)
    return Conv4(spec, channels=4), {"pixels": pixels}


def on_sound(seconds):
    shapes = {"waveform": (int(16_000 * seconds),), "length": ()}
    spec = InputSpec("audio", shapes, {"waveform": torch.int16, "length": torch.int32})
    encoder = MelConv4(spec, channels=4, bands=18)
    silence = {"waveform": torch.zeros(1, *shapes["waveform"], dtype=torch.int16)}
    silence["length"] = torch.tensor([shapes["waveform"][0]], dtype=torch.int32)
    frames = encoder.prepare(silence, torch.empty(0, dtype=torch.int64))["mel"].shape[1:]
    return encoder, {"mel": torch.randn(COPIES, 6, *frames, dtype=torch.float64)}


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (on_images, (1, 28, 28)),
        (on_images, (3, 20, 20)),
        (on_images, (1, 8, 8)),
        (on_images, (2, 33, 17)),
        (on_sound, 0.5),
        (on_sound, 2.1),
    ],
)
def test_copies_equal_a_loop_to_the_second_derivative(make, size):
    torch.manual_seed(0)
    encoder, inputs = make(size)
    encoder = encoder.double().train()
    target = torch.randn(COPIES, 6, encoder.width, dtype=torch.float64)
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}

    def outcome(embed):
        start = dict(encoder.named_parameters())
        fast = {name: p.expand(COPIES, *p.shape) for name, p in start.items()}
        inner = (embed(fast) - target).square().mean()
        steps = torch.autograd.grad(
            inner, list(fast.values()), create_graph=True, allow_unused=True, materialize_grads=True
        )
        fast = {name: w - STEP * g for (name, w), g in zip(fast.items(), steps, strict=True)}
        embedded = embed(fast)
        outer = (embedded - target).square().mean()
        return embedded, torch.autograd.grad(
            outer, list(start.values()), allow_unused=True, materialize_grads=True
        )

    ours, our_gradients = outcome(lambda weights: encoder.forward_copies(weights, inputs))
    plain, plain_gradients = outcome(lambda weights: loop(encoder, weights, inputs))
    torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)
    for ours_, plain_ in zip(our_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(ours_, plain_, rtol=1e-6, atol=1e-9)
    for name, buffer in encoder.named_buffers():
        assert torch.equal(buffer, before[name]), f"{name} was changed by an adaptation"


@pytest.mark.parametrize("size", [(5, 4), (1, 3), (2, 1)])
def test_convolution_as_a_product_is_the_grouped_one_to_the_second_derivative(size):
    torch.manual_seed(0)
    x = torch.randn(2, COPIES * 2, *size, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(COPIES * 4, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(2, COPIES * 4, *size, dtype=torch.float64)

    def outcome(convolve):
        mixed = convolve(x, kernel, COPIES)
        slopes = torch.autograd.grad(
            (mixed * direction).square().sum(), [x, kernel], create_graph=True
        )
        second = torch.autograd.grad(sum(g.square().sum() for g in slopes), [x, kernel])
        return mixed, *slopes, *second

    product, grouped = outcome(convolve_as_product), outcome(convolve_in_groups)
    for ours, theirs in zip(product, grouped, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    assert torch.autograd.gradgradcheck(
        lambda x, kernel: convolve_as_product(x, kernel, COPIES), (x, kernel)
    )


def test_half_precision_does_not_reach_the_meta_gradient_of_copies(monkeypatch):
    monkeypatch.setattr(copies, "convolve_in_groups", convolve_as_product)  # as on accelerators
    torch.manual_seed(0)
    encoder, inputs = on_images((1, 28, 28))
    learner = MAML(TaskSpec("classification", 3, encoder.width, encoder=encoder))
    model = FewShotModel(encoder, learner, adapts_encoder=True)
    labels = np.array([[0, 1, 2]] * COPIES)
    items = np.arange(COPIES * 6).reshape(COPIES, 6)
    batch = EpisodeBatch(items[:, :3], labels, items[:, 3:], labels, 3, labels)
    found = {}
    for precision in ("fp32", "bf16"):
        problem = Problem(
            {"pixels": inputs["pixels"].flatten(0, 1)}, Compute(torch.device("cpu"), precision)
        )
        found[precision] = torch.autograd.grad(
            model.loss(problem, batch), [p for p in model.parameters() if p.requires_grad]
        )
    for full, half in zip(found["fp32"], found["bf16"], strict=True):
        assert torch.equal(full, half)
