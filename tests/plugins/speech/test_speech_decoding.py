"""One recording at a time: formats, rates, channels, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speech_files import encoded, tone

from metabench_speech.decoding import BadRecording, decode, resample

INT16 = st.integers(-(2**15), 2**15 - 1)


@settings(max_examples=30)
@given(st.lists(INT16, min_size=1, max_size=200))
def test_16_bit_mono_at_16_khz_passes_bit_for_bit(samples):
    exact = np.array(samples, np.int16)
    assert np.array_equal(decode(encoded(exact, subtype="PCM_16")), exact)


@pytest.mark.parametrize(
    ("kind", "subtype", "tolerance"),
    [
        ("WAV", "PCM_24", 2),
        ("WAV", "PCM_32", 2),
        ("WAV", "FLOAT", 2),
        ("FLAC", "PCM_24", 2),
        ("OGG", "VORBIS", 1500),
        ("MP3", "MPEG_LAYER_III", 1500),
    ],
)
def test_formats(kind, subtype, tolerance):
    found = decode(encoded(tone(), kind=kind, subtype=subtype)).astype(int)
    assert abs(len(found) - 16_000) <= 2_400  # MP3 pads
    middle = slice(4_000, 12_000)
    best = min(
        np.abs(found[middle.start + shift : middle.stop + shift] - 32_768 * tone()[middle]).max()
        for shift in (range(-40, 1_200) if kind == "MP3" else [0])
    )
    assert best <= tolerance


def test_stereo_is_averaged():
    both = np.stack([tone(level=0.5), tone(level=0.1)], 1)
    assert np.abs(decode(encoded(both)).astype(int) - 32_768 * tone(level=0.3)).max() <= 2


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled(rate):
    found = decode(encoded(tone(rate=rate), rate, subtype="PCM_24"))
    assert len(found) == 16_000
    inner = slice(200, -200)
    assert np.abs(found[inner].astype(int) - 32_768 * tone()[inner]).max() <= 16  # -66 dB


def test_resampling_removes_what_would_alias():
    high = resample(tone(rate=44_100, hertz=10_000.0), 44_100)
    assert np.abs(high[200:-200]).max() < 1e-3
    kept = resample(tone(rate=44_100, hertz=7_000.0), 44_100)
    assert np.abs(kept[200:-200]).max() == pytest.approx(0.5, rel=0.01)


BAD = {
    "no samples": encoded(np.zeros(0)),
    "cut short": encoded(tone())[:9_000],
    "cannot be decoded": b"not audio at all" * 9,
    "samples that are no numbers": encoded(np.array([0.1, np.nan, 0.2]), subtype="FLOAT"),
}


@pytest.mark.parametrize("reason", BAD)
def test_refused(reason):
    with pytest.raises(BadRecording, match=reason):
        decode(BAD[reason])


@pytest.mark.parametrize("content", [b"", encoded(tone())[:20], encoded(tone(), kind="FLAC")[:900]])
def test_fragments_are_refused(content):
    with pytest.raises(BadRecording):
        decode(content)


@settings(max_examples=60)
@given(st.binary(max_size=120), st.integers(0, 44))
def test_damage_is_never_another_exception(junk, place):
    whole = bytearray(encoded(tone(0.01)))
    whole[place : place + len(junk)] = junk
    try:
        found = decode(bytes(whole))
    except BadRecording:
        return
    assert found.dtype == np.int16
    assert len(found)
