"""The upstream files of the sources."""

from __future__ import annotations

from metabench.hookspecs import DataFile

ARABIC = DataFile(
    path="speech/arabic_speech_commands/dataset_round_01.zip",
    sha256="9cc4c8eba67b49da867037c177060dcc9a6d7a8558e8c5329095fa9c0c31910e",
)
"""Round 01 of 10 of the upstream repository, in its layout; upstream has no archive of its own."""
SPEECH_COMMANDS = DataFile(
    path="speech/speech_commands/speech_commands_v0.02.tar.gz",
    url="http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
)
"""The digest that torchaudio and TensorFlow Datasets both hold for this address."""
ESC50 = DataFile(
    path="speech/esc50/ESC-50-master.zip",
    url="https://github.com/karolpiczak/ESC-50/archive/master.zip",
)
"""Packed by GitHub on demand, so that no digest is published."""
