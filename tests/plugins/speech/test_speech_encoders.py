"""The encoders against reference computations, and what must not matter to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from speech_files import tone

from metabench.learners.contracts import InputSpec
from metabench_speech.encoders.features import log_mel
from metabench_speech.encoders.mel_conv4 import MelConv4
from metabench_speech.encoders.mel_resnet12 import MelResNet12
from metabench_speech.encoders.mfcc_stats import MFCCStats

NONE = torch.empty(0, dtype=torch.int64)


def audio(count=6, samples=16_000, seed=0):
    rng = np.random.default_rng(seed)
    waves = np.zeros((count, samples), np.int16)
    length = rng.integers(samples // 4, samples + 1, count).astype(np.int32)
    for row, size in enumerate(length):
        sound = tone(size / 16_000, hertz=300.0 + 200 * row)[:size] + 0.05 * rng.normal(size=size)
        waves[row, :size] = np.clip(sound * 2**14, -(2**15), 2**15 - 1)
    return {"waveform": torch.from_numpy(waves), "length": torch.from_numpy(length)}


def build(kind, inputs, **options):
    return kind(InputSpec.of("audio", inputs), **options)


@pytest.mark.parametrize("kind", [MelConv4, MelResNet12, MFCCStats])
@pytest.mark.parametrize("samples", [4_000, 16_000, 40_000])
def test_shapes_and_gradients(kind, samples):
    inputs = audio(3, samples)
    small = {"channels": (4, 4, 8, 8)} if kind is MelResNet12 else {}
    encoder = build(kind, inputs, **small)
    prepared = encoder.prepare(inputs, torch.arange(2))
    assert all(len(tensor) == 3 for tensor in prepared.values())
    found = encoder(prepared)
    assert found.shape == (3, encoder.width)
    assert found.isfinite().all()
    if parameters := list(encoder.parameters()):
        found.square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in parameters)


def test_width_of_mel_conv4_does_not_grow_with_time():
    assert build(MelConv4, audio(1)).width == 64 * 2 * 3
    assert build(MelConv4, audio(1, 80_000)).width == 64 * 2 * 4


def test_preparation_is_pure_and_does_not_see_the_others(monkeypatch):
    inputs = audio()
    whole = log_mel(inputs, bands=40, hop=320)
    assert torch.equal(whole, log_mel(inputs, bands=40, hop=320))
    monkeypatch.setattr("metabench_speech.encoders.features.BATCH_SAMPLES", 32_000)
    assert torch.allclose(whole.float(), log_mel(inputs, bands=40, hop=320).float(), atol=2e-3)


def test_log_mel_is_normalised_over_the_real_frames_and_zero_beyond():
    inputs = audio()
    mel = log_mel(inputs, bands=40, hop=320).float()
    assert mel.shape == (6, 40, 51)
    for one, size in zip(mel, inputs["length"].tolist(), strict=True):
        real = 1 + size // 320
        assert one[:, real:].abs().max().item() == 0 if real < 51 else True
        assert one[:, :real].mean(1).abs().max() < 0.01
        assert one[:, :real].square().mean().sqrt().item() == pytest.approx(1, abs=0.01)


def test_log_mel_hardly_changes_with_the_level():
    inputs = audio()
    quiet = {**inputs, "waveform": inputs["waveform"] // 4}
    loud, soft = (log_mel(x, bands=40, hop=320).float() for x in (inputs, quiet))
    assert (loud - soft).abs().mean() < 0.1 * loud.abs().mean()


def test_silence_gives_finite_features():
    inputs = {
        "waveform": torch.zeros(2, 16_000, dtype=torch.int16),
        "length": torch.tensor([16_000, 1], dtype=torch.int32),
    }
    for kind in (MelConv4, MFCCStats):
        encoder = build(kind, inputs).eval()
        assert encoder(encoder.prepare(inputs, NONE)).isfinite().all()


def mfcc_reference(wave):
    """MFCCs from their definition: power spectrum, triangles, decibels' logarithm, cosines."""
    padded = np.pad(wave.astype(np.float64), 256, mode="reflect")
    window = np.zeros(512)
    window[56:456] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    count = 1 + len(wave) // 160
    frames = np.stack([padded[i * 160 : i * 160 + 512] * window for i in range(count)])
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.linspace(mel_of(50.0), mel_of(8_000.0), 42)
    edges = 700 * (10 ** (edges / 2595) - 1)
    bins = np.linspace(0, 8_000, 257)
    up = (bins[:, None] - edges[None, :-2]) / np.diff(edges)[None, :-1]
    down = (edges[None, 2:] - bins[:, None]) / np.diff(edges)[None, 1:]
    mel = np.log(power @ np.clip(np.minimum(up, down), 0, None) + 1e-6)
    n = np.arange(40)
    cosines = np.cos(np.pi / 40 * (n[:, None] + 0.5) * np.arange(13)) * np.sqrt(2 / 40)
    cosines[:, 0] *= np.sqrt(0.5)
    return (mel @ cosines).T


def mel_of(hertz):
    return 2595 * np.log10(1 + hertz / 700)


def deltas(x):
    padded = np.pad(x, ((0, 0), (2, 2)), mode="edge")
    size = x.shape[1]
    return (
        sum(k * (padded[:, 2 + k : 2 + k + size] - padded[:, 2 - k : 2 - k + size]) for k in (1, 2))
        / 10
    )


def test_mfcc_stats_equal_their_definition():
    inputs = audio(4)
    encoder = build(MFCCStats, inputs)
    found = encoder(encoder.prepare(inputs, NONE)).numpy()
    for row in range(4):
        first = mfcc_reference(inputs["waveform"][row].numpy() / 2.0**15)
        second = deltas(first)
        real = 1 + int(inputs["length"][row]) // 160
        both = np.concatenate([first, second, deltas(second)])[:, :real]
        expected = np.concatenate([both.mean(1), both.std(1)])
        assert np.abs(found[row] - expected).max() < 0.02 * np.abs(expected).max()


def test_mfcc_stats_are_standardised_by_the_meta_train_examples_alone():
    inputs = audio(8)
    encoder = build(MFCCStats, inputs)
    raw = encoder.prepare(inputs, NONE)["embedding"]
    train = torch.arange(5)
    found = encoder.prepare(inputs, train)["embedding"]
    assert torch.allclose(found[train].mean(0), torch.zeros(78), atol=1e-3)
    assert torch.allclose(found, (raw - raw[train].mean(0)) / raw[train].std(0), atol=1e-3)


def test_other_inputs_are_a_mistake_of_the_author():
    spec = InputSpec("image", {"pixels": (1, 8, 8)}, {"pixels": torch.uint8})
    with pytest.raises(ValueError, match="waveform"):
        MelConv4(spec)


@pytest.mark.parametrize("kind", [MelConv4, MelResNet12])
@pytest.mark.parametrize("samples", [4_000, 16_000, 40_000])
def test_maps_have_the_stated_shape(kind, samples):
    inputs = audio(3, samples)
    small = {"channels": (4, 4, 8, 8)} if kind is MelResNet12 else {}
    encoder = build(kind, inputs, **small).eval()
    prepared = encoder.prepare(inputs, torch.arange(2))
    maps = encoder.forward_map(prepared)
    assert maps.shape == (3, *encoder.map_shape)
    if kind is MelResNet12:
        torch.testing.assert_close(maps.mean((2, 3)), encoder(prepared))
