"""Audio for metabench: what this distribution adds, described without importing any of it."""

from __future__ import annotations

from collections.abc import Iterator

from metabench.hookspecs import EncoderInfo, ReaderInfo, TaskSourceInfo, hookimpl
from metabench_speech import files

__all__ = ["metabench_encoders", "metabench_readers", "metabench_task_sources"]

_EVERY_SUITE = ("quick", "standard", "full")
_DECODING = ("soundfile", "torchaudio")
_SYNTHESIS = ("espeakng_loader", "soundfile")
_GHANDOURA = (
    "Ghandoura, Hjabo & Al Dakkak (2021), Engineering Applications of Artificial Intelligence"
)


@hookimpl
def metabench_task_sources() -> Iterator[TaskSourceInfo]:
    """Yield the audio sources."""
    yield from _synthetic()
    yield from _arabic()
    yield TaskSourceInfo(
        name="speech-commands",
        summary="35 English words by 2,618 speakers; the ten digits held out",
        target="metabench_speech.sources.speech_commands:speech_commands",
        domain="speech",
        modality="audio",
        citation="Warden (2018), arXiv:1804.03209; split by word: ours",
        licence="CC-BY-4.0",
        requires=_DECODING,
        files=(files.SPEECH_COMMANDS,),
        protocol={"group_disjoint": True},
        suites={"standard": {}, "full": {}},
    )
    yield TaskSourceInfo(
        name="esc50",
        summary="50 classes of environmental sounds, five seconds each; ten held out",
        target="metabench_speech.sources.esc50:esc50",
        domain="speech",
        modality="audio",
        citation="Piczak (2015), ACM Multimedia; split by class: ours",
        licence="CC-BY-NC-3.0",
        requires=_DECODING,
        files=(files.ESC50,),
        protocol={"group_disjoint": True},
        suites={"standard": {}, "full": {}},
    )


def _synthetic() -> Iterator[TaskSourceInfo]:
    yield TaskSourceInfo(
        name="spoken-words",
        summary="synthetic: 120 English words in 28 voices of espeak-ng; 30 words held out",
        target="metabench_speech.sources.spoken_words:spoken_words",
        domain="speech",
        modality="audio",
        citation="synthesised for metabench with espeak-ng (https://github.com/espeak-ng/espeak-ng)",
        licence="Apache-2.0",
        requires=_SYNTHESIS,
        synthetic=True,
        protocol={"group_disjoint": True},
        suites={
            "quick": {"episodes": 60, "budget": 2_400},  # images five times as large as glyphs
            "standard": {},
            "full": {},
        },
    )
    yield TaskSourceInfo(
        name="spoken-words-shift",
        summary="synthetic: trained on English words, tested on words of ten other languages",
        target="metabench_speech.sources.spoken_words:spoken_words",
        domain="speech",
        modality="audio",
        citation="synthesised for metabench with espeak-ng (https://github.com/espeak-ng/espeak-ng)",
        licence="Apache-2.0",
        options={"shift": True},
        requires=_SYNTHESIS,
        synthetic=True,
        protocol={"group_disjoint": True},
        suites={"standard": {}, "full": {}},
    )


def _arabic() -> Iterator[TaskSourceInfo]:
    yield TaskSourceInfo(
        name="arabic-commands",
        summary="40 Arabic keywords by 30 speakers; the ten digits held out",
        target="metabench_speech.sources.arabic:commands",
        domain="speech",
        modality="audio",
        citation=f"{_GHANDOURA}; split by keyword: ours",
        licence="CC-BY-4.0",
        requires=_DECODING,
        files=(files.ARABIC,),
        suites={"standard": {}, "full": {}},
    )
    yield TaskSourceInfo(
        name="arabic-commands-new-speakers",
        summary="arabic-commands; nobody speaks both in the support and in the query",
        target="metabench_speech.sources.arabic:commands",
        domain="speech",
        modality="audio",
        citation=f"{_GHANDOURA}; split by keyword: ours",
        licence="CC-BY-4.0",
        requires=_DECODING,
        files=(files.ARABIC,),
        protocol={"group_disjoint": True},
        suites={"full": {}},
    )
    yield TaskSourceInfo(
        name="arabic-speakers",
        summary="which of 30 speakers it is, by other words than those enrolled; nothing to train",
        target="metabench_speech.sources.arabic:speakers",
        domain="speech",
        modality="audio",
        citation=_GHANDOURA,
        licence="CC-BY-4.0",
        requires=_DECODING,
        files=(files.ARABIC,),
        protocol={"way": 30, "group_disjoint": True},
        suites={"standard": {}, "full": {}},
    )
    yield TaskSourceInfo(
        name="arabic-speakers-5way",
        summary="which of five new speakers it is; upstream's 18/6/6 speakers",
        target="metabench_speech.sources.arabic:speakers",
        domain="speech",
        modality="audio",
        citation=_GHANDOURA,
        licence="CC-BY-4.0",
        options={"split": True},
        requires=_DECODING,
        files=(files.ARABIC,),
        protocol={"group_disjoint": True},
        suites={"full": {}},
    )


@hookimpl
def metabench_encoders() -> Iterator[EncoderInfo]:
    """Yield the audio encoders."""
    yield EncoderInfo(
        name="mel-conv4",
        summary="four convolutions of 64 channels over log-mel bands, from scratch",
        target="metabench_speech.encoders.mel_conv4:MelConv4",
        modalities=("audio",),
        trainable=True,
        feature_map=True,
        citation="Snell et al. (2017), NeurIPS; on log-mel as in Heggan et al. (2022), ICANN",
        licence="Apache-2.0",
        requires=("torchaudio",),
        suites=_EVERY_SUITE,
    )
    yield EncoderInfo(
        name="mel-resnet12",
        summary="residual network of 64-160-320-640 channels over log-mel bands, from scratch",
        target="metabench_speech.encoders.mel_resnet12:MelResNet12",
        modalities=("audio",),
        trainable=True,
        feature_map=True,
        citation="Lee et al. (2019), CVPR (MetaOptNet)",
        licence="Apache-2.0",
        requires=("torchaudio",),
        suites=("full",),
    )
    yield EncoderInfo(
        name="mfcc-stats",
        summary="mean and deviation over time of MFCCs and their deltas (78 dimensions)",
        target="metabench_speech.encoders.mfcc_stats:MFCCStats",
        modalities=("audio",),
        trainable=False,
        citation="Davis & Mermelstein (1980), IEEE TASSP 28:357",
        licence="Apache-2.0",
        requires=("torchaudio",),
        suites=_EVERY_SUITE,
    )
    yield EncoderInfo(
        name="hf-audio",
        summary="any transformers audio encoder, frozen, mean over time",
        target="metabench_speech.encoders.hf_audio:HFAudio",
        modalities=("audio",),
        trainable=False,
        citation="Wolf et al. (2020), EMNLP demonstrations",
        argument="model id, id@revision or folder",
        requires=("transformers",),
    )


@hookimpl
def metabench_readers() -> Iterator[ReaderInfo]:
    """Yield how users' own items are read."""
    yield ReaderInfo(
        name="recordings",
        summary="sound files of any rate, made mono at 16 kHz",
        target="metabench_speech.reader:AudioReader",
        domain="speech",
        modality="audio",
        suffixes=(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
        requires=_DECODING,
    )
