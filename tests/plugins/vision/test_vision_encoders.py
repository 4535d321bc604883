import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from metabench.learners.contracts import InputSpec
from metabench_vision.encoders.conv4 import Conv4
from metabench_vision.encoders.conv4_concat import Conv4Concat
from metabench_vision.encoders.pixels import Pixels
from metabench_vision.encoders.resnet12 import ResNet12

SMALL = (8, 8, 16, 16)


def images(n, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=generator)


def spec(*shape):
    return InputSpec("image", {"pixels": shape}, {"pixels": torch.uint8})


def small_resnet(given):
    return ResNet12(given, channels=SMALL)


def small_concat(given):
    return Conv4Concat(given, channels=SMALL)


@pytest.mark.parametrize(
    "build",
    [Conv4, small_concat, small_resnet, Pixels],
    ids=["conv4", "conv4-concat", "resnet12", "pixels"],
)
@pytest.mark.parametrize(
    "shape", [(1, 28, 28), (3, 84, 84), (1, 8, 8), (1, 1, 1), (3, 17, 31), (2, 5, 40)]
)
def test_any_size_gives_the_stated_width(build, shape):
    encoder = build(spec(*shape)).eval()
    with torch.inference_mode():
        out = encoder({"pixels": images(3, *shape)})
    assert out.shape == (3, encoder.width)
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()


def test_published_widths_and_sizes():
    assert Conv4(spec(1, 28, 28)).width == 64
    assert Conv4(spec(3, 84, 84)).width == 1600
    assert Conv4(spec(1, 28, 28), channels=32).width == 32
    assert sum(p.numel() for p in Conv4(spec(1, 28, 28)).parameters()) == 111_936
    assert Conv4Concat(spec(1, 28, 28)).width == 4 * (384 + 512)
    resnet = ResNet12(spec(3, 84, 84))
    assert resnet.width == 640
    assert 12.3e6 < sum(p.numel() for p in resnet.parameters()) < 12.5e6


class Plain(nn.Module):
    """Conv4 as the papers write it, with the weights of another."""

    def __init__(self, conv4):
        super().__init__()
        self.conv4 = conv4

    def forward(self, pixels):
        x = pixels / 255
        for convolution, norm in zip(self.conv4.convolutions, self.conv4.norms, strict=True):
            weight = convolution.weight.contiguous()
            x = F.max_pool2d(F.relu(norm(F.conv2d(x, weight, convolution.bias, padding=1))), 2)
        return x.flatten(1)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 84, 84)])
def test_conv4_is_the_network_of_the_papers(shape):
    torch.manual_seed(0)
    encoder = Conv4(spec(*shape)).double()
    pixels = images(6, *shape)
    ours = encoder({"pixels": pixels})
    ours.square().sum().backward()
    gradients = [p.grad.clone() for p in encoder.parameters()]
    encoder.zero_grad()
    plain = Plain(encoder).double()
    theirs = plain.forward(pixels.double())
    theirs.square().sum().backward()
    assert torch.allclose(ours, theirs, atol=1e-6)
    for gradient, parameter in zip(gradients, encoder.parameters(), strict=True):
        scale = parameter.grad.abs().max().clamp_min(1e-3)
        assert ((gradient - parameter.grad) / scale).abs().max() < 1e-4


def test_conv4_concat_is_the_network_of_r2d2():
    """Third output, pooled once more, and fourth, as the released code joins them."""
    torch.manual_seed(0)
    encoder = small_concat(spec(1, 28, 28)).double()
    pixels = images(6, 1, 28, 28)
    x, outputs = pixels.double() / 255, []
    strides = (2, 2, 2, 1)
    for layer, norm, stride in zip(encoder.convolutions, encoder.norms, strides, strict=True):
        x = norm(F.conv2d(x, layer.weight, layer.bias, padding=1))
        x = F.leaky_relu(F.max_pool2d(x, 2, stride), 0.1)
        outputs.append(x)
    third = F.max_pool2d(outputs[2], 2, 1).flatten(1)
    joined = torch.cat([third, outputs[3].flatten(1)], 1)
    assert torch.allclose(encoder({"pixels": pixels}), joined, atol=1e-9)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 84, 84)])
@pytest.mark.parametrize("build", [Conv4, small_concat, small_resnet])
def test_convolutions_run_channels_last(build, shape):
    encoder = build(spec(*shape))
    seen = []
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            module.register_forward_hook(lambda _m, _i, out: seen.append(out))
    encoder({"pixels": images(2, *shape)})
    assert seen
    assert all(out.is_contiguous(memory_format=torch.channels_last) for out in seen)


@pytest.mark.parametrize("build", [Conv4, small_concat, small_resnet])
def test_same_seed_same_weights_same_numbers(build):
    pixels = {"pixels": images(4, 1, 28, 28)}
    runs = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        encoder = build(spec(1, 28, 28))
        runs.append((encoder.weights_digest(), encoder(pixels)))
    assert runs[0][0] == runs[1][0] != runs[2][0]
    assert torch.equal(runs[0][1], runs[1][1])


@pytest.mark.parametrize(
    "build",
    [Conv4, small_concat, small_resnet, Pixels],
    ids=["conv4", "conv4-concat", "resnet12", "pixels"],
)
def test_in_evaluation_an_image_does_not_see_its_neighbours(build):
    encoder = build(spec(1, 28, 28)).eval()
    pixels = images(5, 1, 28, 28)
    with torch.inference_mode():
        together = encoder({"pixels": pixels})
        alone = torch.cat([encoder({"pixels": image[None]}) for image in pixels])
    assert torch.allclose(together, alone, atol=1e-5)


def test_conv4_works_under_vmap():
    encoder = Conv4(spec(1, 28, 28)).eval()
    stacked = {n: p.detach().expand(2, *p.shape) for n, p in encoder.named_parameters()}
    pixels = images(6, 1, 28, 28).view(2, 3, 1, 28, 28)
    out = vmap(lambda p, x: functional_call(encoder, p, ({"pixels": x},)))(stacked, pixels)
    assert torch.allclose(out[1], encoder({"pixels": pixels[1]}), atol=1e-5)


def test_float_pixels_count_as_scaled():
    pixels = images(2, 1, 28, 28)
    encoder = Conv4(spec(1, 28, 28)).eval()
    scaled = {"pixels": pixels.float() / 255}
    assert torch.allclose(encoder({"pixels": pixels}), encoder(scaled), atol=1e-6)


def test_pixels_are_the_image():
    pixels = images(2, 1, 28, 28)
    flat = Pixels(spec(1, 28, 28))({"pixels": pixels})
    assert torch.equal(flat, pixels.flatten(1) / 255)
    photo = images(2, 3, 84, 84)
    pooled = Pixels(spec(3, 84, 84))({"pixels": photo})
    assert torch.allclose(pooled, F.avg_pool2d(photo.float() / 255, 3).flatten(1), atol=1e-6)
    assert not list(Pixels(spec(1, 28, 28)).parameters())


def test_something_else_than_images_is_refused():
    with pytest.raises(ValueError, match="pixels"):
        Conv4(InputSpec("image", {"tokens": (12,)}, {"tokens": torch.int64}))


@pytest.mark.parametrize("build", [Conv4, small_resnet], ids=["conv4", "resnet12"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 84, 84), (1, 1, 1), (2, 5, 40)])
def test_maps_have_the_stated_shape_and_the_same_weights(build, shape):
    encoder = build(spec(*shape)).eval()
    inputs = {"pixels": images(3, *shape)}
    with torch.inference_mode():
        maps, vectors = encoder.forward_map(inputs), encoder(inputs)
    assert maps.shape == (3, *encoder.map_shape)
    assert maps.isfinite().all()
    if build is small_resnet:
        torch.testing.assert_close(maps.mean((2, 3)), vectors)


def test_map_of_conv4_is_the_one_of_the_papers():
    """Relation networks and DN4 pool after the first two of four blocks."""
    assert Conv4(spec(1, 28, 28)).map_shape == (64, 7, 7)
    assert Conv4(spec(3, 84, 84)).map_shape == (64, 21, 21)
