"""The command line's verbs on a store as Python functions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metabench.errors import UsageError
from metabench.leaderboard.compare import Comparison, compare_store
from metabench.leaderboard.recommend import recommend_store
from metabench.leaderboard.recommendation import Recommendation
from metabench.runs.store import Store

if TYPE_CHECKING:
    from metabench.saved.export import Exported
    from metabench.saved.learner import SavedLearner

Where = str | PathLike[str]


def recommend_in(
    store: Where, *, source: str, shots: int | str, transductive: bool
) -> Recommendation:
    """Recommend by the records of a store; see `metabench.recommend`."""
    opened = _opened(store)
    found = recommend_store(opened, source=source, shot=str(shots), together=transductive)
    _warn([*opened.quarantined, *found.messages])
    return found


def compare_in(
    store: Where, first: str, second: str, *, sources: Sequence[str], encoders: Sequence[str]
) -> Comparison:
    """Compare two algorithms by the records of a store; see `metabench.compare`."""
    opened = _opened(store)
    found = compare_store(opened, first, second, sources=sources, encoders=encoders)
    _warn([*opened.quarantined, *found.messages])
    return found


def export_from(
    store: Where, out: Where, *, shots: int | str, data: Where | None, **options: Any
) -> Exported:
    """Save a learner; see `metabench.export`."""
    from metabench.saved.select import export  # noqa: PLC0415 - imports torch

    where = None if data is None else Path(data)
    saved = export(Path(out), Path(store), shots=str(shots), data=where, **options)
    _warn(saved.notes)
    return saved


def load_from(folder: Where, *, device: str, encoder: str) -> SavedLearner:
    """Load a learner; see `metabench.load`."""
    from metabench.saved.load import load  # noqa: PLC0415 - imports torch

    return load(Path(folder), device=device, encoder=encoder)


def _opened(store: Where) -> Store:
    folder = Path(store)
    if not (folder / "records").is_dir():
        raise UsageError(
            f"{folder} holds no records; metabench.run(store={str(folder)!r}) makes some"
        )
    return Store(folder.resolve(), only_read=True)


def _warn(texts: Sequence[str]) -> None:
    for text in texts:
        warnings.warn(text, stacklevel=4)
