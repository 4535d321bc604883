"""The sources on the real files below METABENCH_DATA."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from metabench.tasks.files import SourceContext
from metabench_speech.files import ARABIC
from metabench_speech.recordings import committed_split
from metabench_speech.sources.arabic import commands, speakers

ROOT = os.environ.get("METABENCH_DATA", "")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(
        not (ROOT and (Path(ROOT) / ARABIC.path).is_file()),
        reason=f"METABENCH_DATA names no folder with {ARABIC.path}",
    ),
]


def test_declared_digest():
    assert sha256((Path(ROOT) / ARABIC.path).read_bytes()).hexdigest() == ARABIC.sha256


def test_keywords_and_speakers_of_the_same_recordings():
    by_keyword = commands(SourceContext("arabic-commands", Path(ROOT)))
    assert len(by_keyword) == 1_200
    assert by_keyword.notes == ()
    assert by_keyword.inputs["length"].unique().tolist() == [16_000]
    for pool in by_keyword.splits.values():
        for members in pool.members:
            assert sorted(by_keyword.groups[members]) == list(range(30))
    by_speaker = speakers(SourceContext("arabic-speakers", Path(ROOT)))
    assert by_speaker.splits["test"].sizes.tolist() == [40] * 30
    assert np.array_equal(by_speaker.inputs["waveform"], by_keyword.inputs["waveform"])


def test_the_split_of_the_speakers_is_upstreams():
    for split in ("train", "val", "test"):
        lines = (Path(ROOT) / ARABIC.path).with_name(f"{split}.csv").read_text().splitlines()[1:]
        found = {line.split("/")[2][:8] for line in lines}
        assert found == set(committed_split("arabic-speakers")[split])
