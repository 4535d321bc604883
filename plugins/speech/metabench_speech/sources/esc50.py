"""``esc50``: 50 classes of environmental sounds, 40 recordings of five seconds each.

Piczak, "ESC: dataset for environmental sound classification", ACM Multimedia 2015. Upstream's five
folds share all classes. Heggan et al., "MetaAudio", ICANN 2022, split 35/5/10 by class, but publish
the classes as pickled arrays, which are not read here; ours has the same sizes, with seven, one
and two classes of each of upstream's five categories.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import PurePosixPath

from metabench.errors import UnavailableError
from metabench.tasks.data import TaskData
from metabench.tasks.files import SourceContext
from metabench_speech.files import ESC50
from metabench_speech.recordings import Recording, committed_split, task_data

SECONDS = 5.0
_META = "meta/esc50.csv"
_COLUMNS = ("filename", "category", "src_file")
_REMEDY = "get the upstream file again"


def esc50(context: SourceContext) -> TaskData:
    """Load the classes, split 35/5/10.

    Args:
        context: Where the archive is.

    Returns:
        Classes named as upstream does; groups are the original clips (``src_file``), of which
        several recordings may be cut.
    """
    rows = _listing(context)
    return task_data(context.source, _recordings(context, rows), committed_split("esc50"), SECONDS)


def _listing(context: SourceContext) -> dict[str, tuple[str, str]]:
    """Category and original clip of each file name."""
    place = f"{ESC50.path}: {_META}"
    text = next((content for _, content in context.zip_members(ESC50.path, _META)), None)
    if text is None:
        raise UnavailableError(f"{place} is missing", _REMEDY)
    try:
        reader = csv.DictReader(io.StringIO(text.decode("utf-8-sig")))
        if missing := set(_COLUMNS) - set(reader.fieldnames or ()):
            raise UnavailableError(f"{place}: no column {min(missing)!r}", _REMEDY)
        return {row["filename"]: (row["category"], row["src_file"]) for row in reader}
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnavailableError(f"{place} is not a CSV file ({error})", _REMEDY) from error


def _recordings(context: SourceContext, rows: dict[str, tuple[str, str]]) -> Iterator[Recording]:
    left = set(rows)
    for name, content in context.zip_members(ESC50.path, ".wav"):
        file = PurePosixPath(name).name
        if file not in rows:
            raise UnavailableError(f"{ESC50.path}: {name} is not in {_META}", _REMEDY)
        left.discard(file)
        category, clip = rows[file]
        yield Recording(content, category, clip, f"{ESC50.path}: {name}")
    if left:
        raise UnavailableError(
            f"{ESC50.path}: {len(left)} files of {_META} are missing, such as {min(left)}", _REMEDY
        )
