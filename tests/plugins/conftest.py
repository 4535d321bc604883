"""Tests build models of transformers themselves, so torchaudio has to be importable first."""

from metabench.torchaudio_compat import prepare_torchaudio

prepare_torchaudio()
