"""Many copies of Conv4 at once give what a loop over the copies gives, to the second derivative."""

import pytest
import torch
from torch.func import functional_call

from metabench.learners.contracts import InputSpec
from metabench_vision.encoders.conv4 import Conv4

STEP = 0.1


def loop(encoder, weights, inputs):
    rows = []
    for copy in range(len(inputs["pixels"])):
        state = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
        state |= {name: weight[copy] for name, weight in weights.items()}
        rows.append(functional_call(encoder, state, ({"pixels": inputs["pixels"][copy]},)))
    return torch.stack(rows)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 20, 20), (1, 8, 8), (2, 33, 17)])
def test_copies_equal_a_loop_to_the_second_derivative(shape):
    torch.manual_seed(0)
    spec = InputSpec("image", {"pixels": shape}, {"pixels": torch.uint8})
    encoder = Conv4(spec, channels=4).double().train()
    inputs = {"pixels": torch.randint(0, 256, (3, 6, *shape), dtype=torch.uint8)}
    target = torch.randn(3, 6, encoder.width, dtype=torch.float64)
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}

    def outcome(embed):
        start = dict(encoder.named_parameters())
        fast = {name: p.expand(3, *p.shape) for name, p in start.items()}
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
