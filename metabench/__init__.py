"""Few-shot learning benchmarked: one harness, one frozen protocol, every kind of data.

The command line's main verb in Python::

    import metabench

    table = metabench.run(domains=["vision", "nlp"])  # a pandas.DataFrame, one row per table row
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__version__ = "0.1.0"
__all__ = ["__version__", "run"]


def run(**request: Any) -> pd.DataFrame:
    """Run every algorithm on every source and return the leaderboard.

    Args:
        **request: The fields of `metabench.runs.request.RunRequest`, which are the flags of
            ``metabench run``: ``domains=["vision"]``, ``suite="quick"``, ``shots=[1, 5]``, ....

    Returns:
        One row per (domain, source, protocol, encoder, algorithm), with the columns of the CSV.

    Raises:
        MetabenchError: If the request cannot be carried out.
    """
    from metabench.runs.api import run_to_frame  # noqa: PLC0415 - importing metabench stays cheap

    return run_to_frame(request)
