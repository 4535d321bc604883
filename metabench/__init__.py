"""Few-shot learning benchmarked: one harness, one frozen protocol, every kind of data.

The command line's verbs in Python::

    import metabench

    table = metabench.run(domains=["vision", "nlp"])  # a pandas.DataFrame, one row per table row
    print(metabench.recommend(source="intents"))  # what to use, and how good it will be
    metabench.export("my-learner", source="intents")  # a folder
    adapted = metabench.load("my-learner").adapt(["play jazz", "wake me"], ["music", "alarm"])
    adapted.predict(["a song by Miles Davis"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import pandas as pd

    from metabench.leaderboard.compare import Comparison
    from metabench.leaderboard.recommendation import Recommendation
    from metabench.saved.export import Exported
    from metabench.saved.learner import SavedLearner

__version__ = "0.1.0"
__all__ = ["__version__", "compare", "export", "load", "recommend", "run"]


def run(*, progress: bool = True, **request: Any) -> pd.DataFrame:
    """Run every algorithm on every source and return the leaderboard.

    Args:
        progress: Whether to show how far the run is: in a notebook's output, as bars on a terminal,
            as lines on stderr elsewhere.
        **request: The fields of `metabench.runs.request.RunRequest`, which are the flags of
            ``metabench run``: ``domains=["vision"]``, ``suite="quick"``, ``shots=[1, 5]``, ....

    Returns:
        One row per (domain, source, protocol, encoder, algorithm), with the columns of the CSV.

    Raises:
        MetabenchError: If the request cannot be carried out.
    """
    from metabench.runs.api import run_to_frame  # noqa: PLC0415 - importing metabench stays cheap

    return run_to_frame(request, progress=progress)


def recommend(
    *,
    store: str | PathLike[str] = "results",
    source: str = "",
    shots: int | str = "",
    transductive: bool = False,
) -> Recommendation:
    """Recommend a learner and an encoder, by the records of a store.

    Args:
        store: The folder of records.
        source: The source; may be left out if the store has one only.
        shots: Labelled examples per class; by default the most that was run.
        transductive: Whether all queries of a task come at once.

    Returns:
        The recommendation; printed, it is five lines.

    Raises:
        MetabenchError: If the store, the source or the shots are not there.
    """
    from metabench.saved.api import recommend_in  # noqa: PLC0415 - importing metabench stays cheap

    return recommend_in(store, source=source, shots=shots, transductive=transductive)


def compare(
    first: str,
    second: str,
    *,
    store: str | PathLike[str] = "results",
    sources: Sequence[str] = (),
    encoders: Sequence[str] = (),
) -> Comparison:
    """Compare two algorithms on the test episodes that both met.

    Args:
        first: An algorithm.
        second: Another.
        store: The folder of records.
        sources: Only these; all if empty.
        encoders: Only these; all if empty.

    Returns:
        Their differences per block, per source and over all sources.

    Raises:
        MetabenchError: If they have no test episodes in common, or a name is unknown.
    """
    from metabench.saved.api import compare_in  # noqa: PLC0415 - importing metabench stays cheap

    return compare_in(store, first, second, sources=sources, encoders=encoders)


def export(
    out: str | PathLike[str],
    *,
    store: str | PathLike[str] = "results",
    source: str = "",
    encoder: str = "",
    algorithm: str = "",
    shots: int | str = "",
    seed: int | None = None,
    transductive: bool = False,
    device: str = "auto",
    data: str | PathLike[str] | None = None,
) -> Exported:
    """Save the recommended learner of a store, or one by name, as a folder.

    Args:
        out: The folder to write, which must not exist or be empty.
        store: The folder of records.
        source: The source; may be left out if the store has one only.
        encoder: The encoder; by default the recommended one.
        algorithm: The algorithm; by default the recommended one.
        shots: Labelled examples per class; by default the most that was run.
        seed: Whose weights; by default the first.
        transductive: Whether all queries of a task come at once.
        device: ``auto`` or a torch device.
        data: The data directory; by default that of the store's last run, or ``METABENCH_DATA``.

    Returns:
        Where it lies and what it is.

    Raises:
        MetabenchError: If it cannot be saved.
    """
    from metabench.saved.api import export_from  # noqa: PLC0415 - importing metabench stays cheap

    return export_from(
        store, out, source=source, encoder=encoder, algorithm=algorithm, shots=shots, seed=seed,
        transductive=transductive, device=device, data=data,
    )  # fmt: skip


def load(folder: str | PathLike[str], *, device: str = "auto", encoder: str = "") -> SavedLearner:
    """Load a learner that `export` saved.

    Args:
        folder: Where it lies.
        device: ``auto`` or a torch device.
        encoder: The frozen encoder under another name, ``hf-vision:NEW/PLACE``, where its files lie
            elsewhere; its weights must be the same.

    Returns:
        The learner: ``.adapt(items, labels)`` gives what has ``.predict(items)``.

    Raises:
        MetabenchError: If it is damaged, or what it needs is not installed.
    """
    from metabench.saved.api import load_from  # noqa: PLC0415 - importing metabench stays cheap

    return load_from(folder, device=device, encoder=encoder)
