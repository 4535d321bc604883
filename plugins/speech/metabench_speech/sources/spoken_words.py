"""``spoken-words``: synthetic speech, words in many voices, with noise.

The source is synthesised by eSpeak NG, a formant synthesiser, when it is loaded. It is a test bed
that works anywhere offline and stands in for no recordings: each word is said once in each voice
and exactly as the rules of the language have it, so scores on it say little about people.

A class is a word; a group is a voice. Voices differ in accent, timbre (eSpeak's variants), rate and
pitch. Each recording lies somewhere in its second, under white or pink noise of 5 to 25 dB and at a
level of its own, all drawn from the word and the voice alone.

``spoken-words-shift`` is the low-resource setting: meta-trained on English, validated on three and
tested on ten other languages, each in its own voices of the same timbres.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

from metabench.tasks.data import TaskData
from metabench.tasks.files import SourceContext
from metabench_speech import espeak
from metabench_speech.decoding import RATE, Waveform, to_int16
from metabench_speech.recordings import committed_split, pooled

SECONDS = 1.0
SIZE = round(SECONDS * RATE)
ENGLISH = "en"
ACCENTS = (
    *("en-us", "en", "en-gb-scotland", "en-gb-x-rp"),
    *("en-029", "en-gb-x-gbclan", "en-us-nyc"),
)
TIMBRES = (
    *("m1", "f1", "m2", "f2", "m3", "f3", "m4", "f4", "m5", "f5", "m6", "m7", "m8"),
    *("Annie", "Alicia", "Andrea", "anika", "belinda", "linda", "steph"),
    *("adam", "Alex", "Andy", "david", "Gene", "john", "Michael", "pablo"),
)
RATES = (150, 165, 180, 195, 210)
PITCHES = (50, 35, 65, 42, 58, 72)
LEAD = 0.15
"""Longest silence before and after the word, in seconds."""
NOISE_DB = (5.0, 25.0)
LEVEL_DB = (-20.0, -1.0)

Samples = npt.NDArray[np.float64]


def spoken_words(context: SourceContext, *, shift: bool = False) -> TaskData:
    """Synthesise every word in 28 voices.

    Args:
        context: Unused; nothing is read but the voices of eSpeak NG.
        shift: Whether to test on other languages.

    Returns:
        Classes named ``language: word``; groups are voices.

    Raises:
        UnavailableError: If eSpeak NG is not installed or lacks a voice.
    """
    del context
    splits = committed_split("spoken-words-shift" if shift else "spoken-words")
    library = espeak.Espeak()
    waves: list[Waveform] = []
    labels: list[int] = []
    groups: list[str] = []
    for label, name in enumerate(name for names in splits.values() for name in names):
        for timbre, wave in zip(TIMBRES, word(library, name), strict=True):
            waves.append(wave)
            labels.append(label)
            groups.append(timbre)
    notes = [f"synthesised by eSpeak NG {library.version}; no recording of a person"]
    return pooled(waves, np.array(labels), groups, splits=splits, size=SIZE, notes=notes)


def voices(language: str) -> list[espeak.Voice]:
    """List the 28 voices of a language; those of English take turns in seven accents."""
    accents: Sequence[str] = ACCENTS if language == ENGLISH else (language,)
    return [
        espeak.Voice(
            f"{accents[number % len(accents)]}+{timbre}",
            RATES[number % len(RATES)],
            PITCHES[number % len(PITCHES)],
        )
        for number, timbre in enumerate(TIMBRES)
    ]


def word(library: espeak.Espeak, name: str) -> Iterator[Waveform]:
    """Say one class in every voice.

    Args:
        library: The synthesiser.
        name: ``language: word``.

    Yields:
        At most a second of samples for each voice.
    """
    language, _, text = name.partition(": ")
    ways = voices(language)
    for voice, spoken in zip(ways, library.say(text, ways), strict=True):
        key = sha256(f"{name}|{voice.name}".encode()).digest()
        # 22,050 Hz to 16,000; on one thread, so that the samples are the same on any number.
        yield disturbed(resample_poly(spoken / 2.0**15, 320, 441), key)


def disturbed(spoken: Samples, key: bytes) -> Waveform:
    """Place a word in its second, add noise and set the level.

    Args:
        spoken: ``[m]`` samples; what goes beyond a second is cut.
        key: 32 bytes that decide everything random.

    Returns:
        ``[T]`` samples, ``m <= T <= SIZE`` for a word that fits.
    """
    rng = np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16])))
    before, after, colour, noise_db, level_db = rng.random(5)
    spoken = spoken[:SIZE]
    room = SIZE - len(spoken)
    start = int(before * min(room, LEAD * RATE))
    end = int(after * min(room - start, LEAD * RATE))
    clip = np.pad(spoken, (start, end))
    noise = rng.standard_normal(SIZE)
    if colour < 1 / 2:
        noise = _pink(noise)
    noise = noise[: len(clip)]
    power = np.sqrt(np.mean(spoken**2) / np.mean(noise**2))
    clip = clip + noise * power * _amplitude(-_between(NOISE_DB, noise_db))
    return to_int16(clip / np.abs(clip).max() * _amplitude(_between(LEVEL_DB, level_db)))


def _pink(white: Samples) -> Samples:
    """Give noise equal power per octave; without its mean."""
    spectrum = np.fft.rfft(white)
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    shaped: Samples = np.fft.irfft(spectrum, len(white))
    return shaped


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + share * (bounds[1] - bounds[0])


def _amplitude(decibels: float) -> float:
    return float(10.0 ** (decibels / 20))
