"""``speech-commands``: 35 English words in one-second recordings by many speakers.

Warden, "Speech Commands: a dataset for limited-vocabulary speech recognition", arXiv:1804.03209,
2018. Version 0.02. Upstream splits by speaker; we split by word and hold the ten digits out.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from metabench.errors import UnavailableError
from metabench.tasks.data import TaskData
from metabench.tasks.files import SourceContext
from metabench_speech.archives import tar_members
from metabench_speech.files import SPEECH_COMMANDS
from metabench_speech.recordings import Recording, committed_split, task_data

SECONDS = 1.0
_MEMBER = re.compile(r"(?P<word>[a-z]+)/(?P<speaker>[0-9a-f]+)_nohash_\d+\.wav")
_NOISE = "_background_noise_/"


def speech_commands(context: SourceContext, *, per_word: int = 400) -> TaskData:
    """Load the words as classes, split 20/5/10.

    Args:
        context: Where the archive is.
        per_word: Most recordings of a word. The 105,829 of the archive would take 3.4 GB; those
            with the smallest SHA-256 of their names are kept, whatever else is in the archive.

    Returns:
        Classes named by the word; groups are speakers.
    """
    path = context.file(SPEECH_COMMANDS.path)
    found, of = _chosen(path, per_word)
    notes = [f"{len(found)} of {of} recordings, at most {per_word} of a word"] if of else []
    return task_data(
        context.source, _recordings(found), committed_split("speech-commands"), SECONDS, notes
    )


def _chosen(path: Path, per_word: int) -> tuple[dict[str, bytes], int]:
    """Keep the recordings with the smallest digests of each word, by name."""
    kept: dict[str, list[tuple[int, str, bytes]]] = {}
    count = 0
    for name, content in tar_members(path, ".wav"):
        if name.startswith(_NOISE):
            continue
        match = _MEMBER.fullmatch(name)
        if match is None:
            raise UnavailableError(
                f"{path}: member {name} is not named WORD/SPEAKER_nohash_NUMBER.wav",
                "get the upstream file again",
            )
        count += 1
        largest_first = -int.from_bytes(sha256(name.encode()).digest()[:8])
        heap = kept.setdefault(match["word"], [])
        entry = (largest_first, name, content)
        if len(heap) < per_word:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)
    return {name: content for heap in kept.values() for _, name, content in heap}, count


def _recordings(found: dict[str, bytes]) -> Iterator[Recording]:
    for name in sorted(found):
        match = _MEMBER.fullmatch(name)
        assert match is not None
        place = f"{SPEECH_COMMANDS.path}: {name}"
        yield Recording(found[name], match["word"], match["speaker"], place)
