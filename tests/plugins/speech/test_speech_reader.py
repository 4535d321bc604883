"""Users' own recordings: formats, rates, lengths and damage."""

import io

import numpy as np
import pytest
import soundfile

from metabench.errors import UsageError
from metabench_speech.reader import AudioReader

RATE = 16_000


def encoded(samples, rate=RATE, kind="WAV", **options):
    written = io.BytesIO()
    soundfile.write(written, samples, rate, format=kind, **options)
    return written.getvalue()


def tone(seconds, rate=RATE, hertz=440.0):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize(
    ("kind", "rate", "channels"),
    [
        ("WAV", 8000, 1),
        ("WAV", 44_100, 2),
        ("FLAC", 16_000, 1),
        ("OGG", 22_050, 1),
        ("MP3", 48_000, 2),
    ],
)
def test_every_format_rate_and_number_of_channels(kind, rate, channels, tmp_path):
    path = tmp_path / "clip.any"
    path.write_bytes(encoded(np.stack([tone(0.9, rate)] * channels, 1), rate, kind))
    read = AudioReader().read([path, str(path)])
    assert read.faults == ()
    waveform, length = read.inputs["waveform"].numpy(), read.inputs["length"].numpy()
    assert waveform.shape == (2, RATE)
    assert waveform.dtype == np.int16
    assert length[0] == pytest.approx(0.9 * RATE, abs=1200)
    spectrum = np.abs(np.fft.rfft(waveform[0, :14_000]))
    assert np.argmax(spectrum) * RATE / 14_000 == pytest.approx(440, abs=3)
    assert not waveform[0, length[0] :].any()


def test_16_bit_mono_at_16_khz_passes_bit_for_bit():
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, 700).astype(np.int16)
    read = AudioReader().read([encoded(samples), samples])
    for row in read.inputs["waveform"].numpy():
        np.testing.assert_array_equal(row[:700], samples)
    assert read.inputs["length"].tolist() == [700, 700]


def test_the_length_suits_all_but_the_longest_in_a_hundred():
    short = [tone(0.2 + 0.001 * n) for n in range(150)]
    assert AudioReader().read(short).inputs["waveform"].shape == (150, RATE // 2)
    read = AudioReader().read([*short, tone(30)])
    assert read.inputs["waveform"].shape == (151, RATE // 2)
    assert read.notes == ("1 recordings cut to 0.5 seconds",)
    assert AudioReader().read([tone(1.2)]).inputs["waveform"].shape == (1, RATE * 3 // 2)
    assert AudioReader().read([tone(15)]).inputs["waveform"].shape == (1, RATE * 10)


def test_very_many_recordings_stay_within_bounds(monkeypatch):
    monkeypatch.setattr("metabench_speech.reader.MAX_BYTES", 4 * 2 * RATE)
    assert AudioReader().read([tone(3)] * 4).inputs["waveform"].shape == (4, RATE)


def test_a_length_that_is_asked_for():
    assert AudioReader(2).read([tone(1)]).inputs["waveform"].shape == (1, 2 * RATE)
    like = {"waveform": (123,), "length": ()}
    read = AudioReader().read([tone(1)], like)
    assert read.inputs["waveform"].shape == (1, 123)
    assert read.inputs["length"].tolist() == [123]
    with pytest.raises(UsageError, match="-1 seconds: a number above 0"):
        AudioReader(-1)


@pytest.mark.parametrize(
    ("item", "match"),
    [
        (b"", "0 bytes"),
        (b"RIFF no", "cannot be decoded"),
        (encoded(tone(1))[:9000], "cut short"),
        (encoded(np.empty(0)), "no samples"),
        (np.zeros((2, 9)), r"an array \(2, 9\); recordings are \[T\]"),
        (np.full(9, np.nan), "numbers from -1 to 1"),
        (np.zeros(9, np.int64), "samples of int64"),
    ],
)
def test_what_cannot_be_used_is_a_fault_and_the_others_stay(item, match):
    read = AudioReader().read([tone(0.4), item, tone(0.3)])
    assert read.kept.tolist() == [0, 2]
    ((position, what),) = read.faults
    assert position == 1
    with pytest.raises(AssertionError, match=match):
        raise AssertionError(what)
