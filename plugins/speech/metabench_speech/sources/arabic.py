"""``arabic-commands`` and ``arabic-speakers``: 40 Arabic keywords, each once by 30 speakers.

Ghandoura, Hjabo & Al Dakkak, "Building and benchmarking an Arabic speech commands dataset for
small-footprint keyword spotting", Engineering Applications of Artificial Intelligence, 2021. The
file of round 01 is read: one recording of each keyword by each speaker.

Upstream splits by speaker only. For keywords we split by word and hold the ten digits out. For
speakers there are two settings: all 30 at once, where nobody is left to train on, and upstream's
18/6/6 speakers, five at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from metabench.errors import UnavailableError
from metabench.tasks.data import TaskData
from metabench.tasks.files import SourceContext
from metabench_speech.files import ARABIC
from metabench_speech.recordings import Recording, committed_split, task_data

SECONDS = 1.0
_MEMBER = re.compile(r"dataset/(?P<keyword>[a-z ]+)/(?P<speaker>\d{8})_NO_\d{2}\.wav")
_NOISE = "dataset/background_noise/"


def commands(context: SourceContext) -> TaskData:
    """Load the keywords as classes, split 24/6/10.

    Args:
        context: Where the archive is.

    Returns:
        Classes named by upstream's English folder names; groups are speakers.
    """
    found = (Recording(content, k, s, place) for content, k, s, place in _read(context))
    return task_data(context.source, found, committed_split("arabic-commands"), SECONDS)


def speakers(context: SourceContext, *, split: bool = False) -> TaskData:
    """Load the speakers as classes.

    Args:
        context: Where the archive is.
        split: Whether to split the speakers as upstream does. Otherwise all are in the test split
            and there is nothing to meta-train on.

    Returns:
        Classes named by upstream's numbers; groups are keywords, so that group-disjoint episodes
        ask for a speaker by words that are not in the support.
    """
    splits = committed_split("arabic-speakers")
    if not split:
        splits = {"test": tuple(sorted(name for names in splits.values() for name in names))}
    found = (Recording(content, s, k, place) for content, k, s, place in _read(context))
    return task_data(context.source, found, splits, SECONDS)


def _read(context: SourceContext) -> Iterator[tuple[bytes, str, str, str]]:
    for name, content in context.zip_members(ARABIC.path, ".wav"):
        if name.startswith(_NOISE):
            continue
        place = f"{ARABIC.path}: {name}"
        match = _MEMBER.fullmatch(name)
        if match is None:
            raise UnavailableError(
                f"{place}: not named dataset/KEYWORD/SPEAKER_NO_ROUND.wav",
                "get the upstream file again",
            )
        yield content, match["keyword"], match["speaker"], place
