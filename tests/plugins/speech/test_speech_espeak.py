"""Synthetic speech: the same every time, in any order, and a missing library is said."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from metabench.errors import UnavailableError
from metabench.tasks.files import SourceContext
from metabench_speech import espeak
from metabench_speech.sources import spoken_words as source

WORDS = ("en: kettle", "fi: järvi", "en: orange")
CODE = """
import hashlib, sys
from metabench_speech import espeak
from metabench_speech.sources.spoken_words import word
library = espeak.Espeak()
for name in sys.argv[1:]:
    print(name, hashlib.sha256(b"".join(w.tobytes() for w in word(library, name))).hexdigest())
"""


@pytest.fixture(scope="module")
def library():
    pytest.importorskip("espeakng_loader")
    return espeak.Espeak()


def digest(waves):
    return hashlib.sha256(b"".join(wave.tobytes() for wave in waves)).hexdigest()


def test_reproducible_in_another_process_and_order(library):
    here = {name: digest(source.word(library, name)) for name in WORDS}
    assert {name: digest(source.word(library, name)) for name in WORDS[::-1]} == here
    run = subprocess.run(
        [sys.executable, "-c", CODE, *WORDS[1:], WORDS[0]],
        check=True,
        capture_output=True,
        text=True,
    )
    there = dict(line.rsplit(" ", 1) for line in run.stdout.splitlines())
    assert there == here
    assert len(set(here.values())) == len(WORDS)


def test_every_voice_differs_and_fits(library):
    waves = list(source.word(library, "en: guitar"))
    assert len(waves) == len(source.TIMBRES) >= 24
    assert len({wave.tobytes() for wave in waves}) == len(waves)
    assert all(2_000 < len(wave) <= source.SIZE for wave in waves)
    clean = library.say("guitar", source.voices("en"))
    assert len({wave.tobytes() for wave in clean}) == len(clean)
    assert max(map(len, clean)) < espeak.RATE


def test_voices_vary_in_all_they_should():
    voices = source.voices("en")
    assert len({v.name.split("+")[0] for v in voices}) == 7
    assert len({v.name.split("+")[1] for v in voices}) == 28
    assert len({v.rate for v in voices}) == 5
    assert len({v.pitch for v in voices}) == 6
    assert {v.name.split("+")[0] for v in source.voices("de")} == {"de"}


def test_rate_and_pitch_do_something(library):
    slow, fast, high = library.say(
        "potato",
        [
            espeak.Voice("en-us+m1", 150, 50),
            espeak.Voice("en-us+m1", 210, 50),
            espeak.Voice("en-us+m1", 150, 90),
        ],
    )
    assert len(fast) < 0.9 * len(slow)
    assert crossings(high) > crossings(slow)


def crossings(samples):
    """Changes of sign per sample of the smoothed sound, which rise with the pitch."""
    smooth = np.convolve(samples, np.ones(60) / 60, "valid")
    return np.mean(np.diff(np.sign(smooth[np.abs(smooth) > 50])) != 0)


def test_an_unknown_voice_is_named(library):
    with pytest.raises(UnavailableError, match="'hello' in the voice 'xx-none'"):
        library.say("hello", [espeak.Voice("xx-none", 150, 50)])


def test_noise_level_and_place_follow_from_the_key_alone():
    spoken = np.sin(np.arange(8_000) / 10)
    one, again, other = (source.disturbed(spoken, key) for key in (b"a" * 32, b"a" * 32, b"b" * 32))
    assert np.array_equal(one, again)
    assert len(one) != len(other)
    for number in range(20):
        wave = source.disturbed(spoken, bytes([number]) * 32)
        assert 8_000 <= len(wave) <= 8_000 + 2 * source.LEAD * 16_000
        loudest = 20 * np.log10(np.abs(wave.astype(int)).max() / 2**15)
        assert -20.1 < loudest < -0.9
    assert len(source.disturbed(np.ones(20_000), b"c" * 32)) == source.SIZE


def test_a_small_source(library, monkeypatch):
    split = {"train": ("en: apple",), "test": ("fi: vesi", "pl: ryba")}
    monkeypatch.setattr(source, "committed_split", lambda _name: split)
    data = source.spoken_words(SourceContext("spoken-words"))
    assert len(data) == 3 * 28
    assert data.inputs["waveform"].shape == (84, 16_000)
    assert [pool.names for pool in data.splits.values()] == list(split.values())
    assert all(len(set(data.groups[m])) == 28 for m in data.splits["test"].members)
    assert "eSpeak NG" in data.notes[0]


def test_a_missing_package_is_unavailable(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UnavailableError, match=r"pip install 'metabench-speech\[espeak\]'"):
        source.spoken_words(SourceContext("spoken-words"))


def test_a_library_that_does_not_load_is_unavailable(monkeypatch, tmp_path):
    loader = type(sys)("espeakng_loader")
    loader.get_library_path = lambda: str(tmp_path / "none.so")
    loader.get_data_path = lambda: str(tmp_path)
    monkeypatch.setitem(sys.modules, "espeakng_loader", loader)
    with pytest.raises(UnavailableError, match="eSpeak NG does not load"):
        espeak.Espeak()
